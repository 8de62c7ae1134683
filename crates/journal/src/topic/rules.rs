//! How the topic has to be set, and why: each rule makes a topic and judges one that is there.

use crate::{Settings, client::BATCH_BYTES_MAX};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// One of the topic's settings.
pub(super) struct Rule {
    /// Kafka's name of it.
    pub(super) name: &'static str,
    /// What a new topic gets.
    pub(super) value: String,
    /// What one that is there may have.
    bound: Bound,
}

/// What may stand in the place of a rule's value.
#[derive(Clone, Copy)]
enum Bound {
    /// Nothing.
    Exactly,
    /// A larger number; in Kafka's words -1 is the largest.
    AtLeast,
    /// A smaller number.
    AtMost,
}

/// All rules for these settings.
pub(super) fn rules(settings: &Settings) -> Vec<Rule> {
    let rule = |name, value, bound| Rule { name, value, bound };
    let min_insync = settings.min_insync_replicas.to_string();
    let retention_ms = u64::from(settings.retention_days) * DAY_MS;
    let mut rules = vec![
        // What "acknowledged" means (I-2).
        rule("min.insync.replicas", min_insync, Bound::AtLeast),
        // A replica that lags and becomes leader would drop what was acknowledged (I-2).
        rule("unclean.leader.election.enable", "false".to_owned(), Bound::Exactly),
        // Every command is needed until the books have it: none is superseded by a later one, ...
        rule("cleanup.policy", "delete".to_owned(), Bound::Exactly),
        // ... they last for a time that is known, ...
        rule("retention.ms", retention_ms.to_string(), Bound::AtLeast),
        // ... and a busy day doesn't shorten it.
        rule("retention.bytes", "-1".to_owned(), Bound::Exactly),
        // That time is counted by the brokers' clocks: a gateway whose clock is a week behind would
        // write records that have expired already.
        rule("message.timestamp.type", "LogAppendTime".to_owned(), Bound::Exactly),
        // The largest record fits.
        rule("max.message.bytes", BATCH_BYTES_MAX.to_string(), Bound::AtLeast),
    ];
    if settings.flush_every_records > 0 {
        let every = settings.flush_every_records.to_string();
        rules.push(rule("flush.messages", every, Bound::AtMost));
    }
    rules
}

impl Rule {
    /// What is wrong with a topic that has this value, in a few words.
    pub(super) fn flaw(&self, value: Option<&str>) -> Option<String> {
        let Self { name, value: wants, bound } = self;
        let Some(value) = value else {
            return Some(format!("{name} isn't shown and must be {wants}"));
        };
        let number =
            |text: &str| text.parse::<i64>().ok().map(|n| if n < 0 { i64::MAX } else { n });
        let (is_met, or) = match bound {
            Bound::Exactly => (value == wants, ""),
            Bound::AtLeast => (number(value) >= number(wants), " or more"),
            Bound::AtMost => (number(value).is_some_and(|n| Some(n) <= number(wants)), " or less"),
        };
        (!is_met).then(|| format!("{name} is {value} and must be {wants}{or}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(settings: &Settings, topic: &[(&str, &str)]) -> Vec<String> {
        let set = |name| topic.iter().find(|(of, _)| *of == name).map(|(_, value)| *value);
        rules(settings).iter().filter_map(|rule| rule.flaw(set(rule.name))).collect()
    }

    const GOOD: [(&str, &str); 8] = [
        ("min.insync.replicas", "2"),
        ("unclean.leader.election.enable", "false"),
        ("cleanup.policy", "delete"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "-1"),
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "1114112"),
        ("flush.messages", "9223372036854775807"),
    ];

    #[test]
    fn a_topic_that_was_made_by_the_rules_keeps_them() {
        let settings = Settings { flush_every_records: 1, ..Settings::default() };
        let rules = rules(&settings);
        let made: Vec<_> = rules.iter().map(|rule| (rule.name, rule.value.as_str())).collect();
        assert_eq!(flaws(&settings, &made), [""; 0]);
        assert_eq!(flaws(&Settings::default(), &GOOD), [""; 0]);
    }

    #[test]
    fn each_setting_that_breaks_a_promise_is_named_with_what_it_must_be() {
        for (name, value, wants) in [
            ("min.insync.replicas", "1", "2 or more"),
            ("unclean.leader.election.enable", "true", "false"),
            ("cleanup.policy", "compact,delete", "delete"),
            ("retention.ms", "604799999", "604800000 or more"),
            ("retention.bytes", "1073741824", "-1"),
            ("message.timestamp.type", "CreateTime", "LogAppendTime"),
            ("max.message.bytes", "1048588", "1114112 or more"),
            ("retention.ms", "for ever", "604800000 or more"),
        ] {
            let mut topic = GOOD;
            topic.iter_mut().find(|(of, _)| *of == name).unwrap().1 = value;
            let expected = format!("{name} is {value} and must be {wants}");
            assert_eq!(flaws(&Settings::default(), &topic), [expected]);
        }
        let missing = flaws(&Settings::default(), &GOOD[1..]);
        assert_eq!(missing, ["min.insync.replicas isn't shown and must be 2"]);
    }

    #[test]
    fn more_than_what_is_needed_is_welcome() {
        let settings = Settings { flush_every_records: 10, ..Settings::default() };
        for (name, value) in [
            ("min.insync.replicas", "3"),
            ("retention.ms", "-1"),
            ("max.message.bytes", "10000000"),
        ] {
            let mut topic = GOOD;
            topic[7].1 = "10";
            topic.iter_mut().find(|(of, _)| *of == name).unwrap().1 = value;
            assert_eq!(flaws(&settings, &topic), [""; 0], "{name}={value}");
        }
        let lazy = flaws(&settings, &GOOD);
        assert_eq!(lazy, ["flush.messages is 9223372036854775807 and must be 10 or less"]);
    }
}
