//! The topic: made once, found again, and refused where it would break a promise.

use journal::{Error, Migrated, migrate};
use rdkafka::admin::{NewTopic, TopicReplication};

use super::*;

/// Makes a topic as an operator could have made it, without any of our rules.
fn make(place: &Place, partitions: i32, set: &[(&str, &str)]) {
    let mut topic = NewTopic::new(&place.settings.topic, partitions, TopicReplication::Fixed(1));
    topic.config = set.to_vec();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let made = block_on(place.admin().create_topics([&topic], &options)).unwrap();
    made[0].as_ref().unwrap();
}

fn connect(place: &Place) -> Result<(), Error> {
    Journal::connect(&place.settings).map(drop)
}

#[test]
fn the_topic_is_made_once_and_found_again() {
    let place = Place::new();
    assert_eq!(migrate(&place.settings), Ok(Migrated::Made));
    assert_eq!(migrate(&place.settings), Ok(Migrated::AlreadyThere));
    let (first, second) = (place.journal(), place.journal());
    assert_eq!((first.partitions(), second.partitions()), (4, 4));
    assert_eq!(first.identity(), second.identity(), "the cluster's id");
}

#[test]
fn whoever_makes_it_at_the_same_time_finds_it_too() {
    let place = Place::new();
    let (mut made, mut found) = (0, 0);
    std::thread::scope(|scope| {
        let migrating = [0; 4].map(|_| scope.spawn(|| migrate(&place.settings)));
        for migrated in migrating {
            match migrated.join().unwrap().unwrap() {
                Migrated::Made => made += 1,
                Migrated::AlreadyThere => found += 1,
            }
        }
    });
    assert_eq!((made, found), (1, 3));
}

#[test]
fn a_topic_that_is_missing_is_not_made_by_asking_for_it() {
    let place = Place::new();
    for _ in 0..2 {
        let missing = connect(&place).unwrap_err();
        assert!(matches!(missing, Error::NoTopic { .. }), "{missing}");
    }
}

#[test]
fn another_number_of_partitions_is_refused() {
    let mut place = Place::new();
    migrate(&place.settings).unwrap();
    for wants in [3, 5, 16] {
        place.settings.partitions = wants;
        let topic = place.settings.topic.clone();
        let refused = Error::Partitions { topic, has: 4, wants };
        assert_eq!(connect(&place), Err(refused.clone()));
        assert_eq!(migrate(&place.settings).unwrap_err(), refused);
    }
    place.settings.partitions = 4;
    connect(&place).unwrap();
}

#[test]
fn a_topic_that_would_break_promises_is_refused_and_left_as_it_is() {
    let place = Place::new();
    make(&place, 4, &[("retention.ms", "3600000"), ("cleanup.policy", "compact")]);
    let Err(Error::Unfit { flaws, .. }) = connect(&place) else { panic!("it is unfit") };
    for flaw in [
        "retention.ms is 3600000 and must be 604800000 or more",
        "cleanup.policy is compact and must be delete",
        "message.timestamp.type is CreateTime and must be LogAppendTime",
    ] {
        assert!(flaws.contains(flaw), "{flaws}");
    }
    for _ in 0..2 {
        assert!(matches!(migrate(&place.settings), Err(Error::Unfit { .. })));
    }
}

#[test]
fn fewer_replicas_than_wanted_are_refused() {
    let mut place = Place::new();
    migrate(&place.settings).unwrap();
    place.settings.replication_factor = 3;
    place.settings.min_insync_replicas = 2;
    let Err(Error::Unfit { flaws, .. }) = connect(&place) else { panic!("it is unfit") };
    assert_eq!(
        flaws,
        "a partition has 1 replicas and must have 3; \
         min.insync.replicas is 1 and must be 2 or more"
    );
}

#[test]
fn more_replicas_than_there_are_brokers_are_refused_in_the_brokers_words() {
    let mut place = Place::new();
    place.settings.replication_factor = 3;
    let refused = migrate(&place.settings).unwrap_err().to_string();
    assert!(refused.contains("4 partitions and replication factor 3"), "{refused}");
    assert!(refused.contains("Invalid replication factor"), "{refused}");
}
