//! When the journal doesn't answer, is full, or has no room: unsure is PROCESSING, and a retry
//! stands in for what was not recorded.

use std::time::Duration;

use ids::{CommandId, Epoch, OrderId, ShardNo, UserId};
use journal::{Command, PlacedHold, Record};
use proto::gateway::v1::PurchaseState::{Accepted, Processing};

use crate::{
    stage::{PARTITION, Plan, SHARD, Stage, said},
    stubs::lock,
};

fn impatient() -> Plan {
    let journal = journal::Settings { message_timeout_ms: 300, ..Default::default() };
    Plan { journal, ..Plan::default() }
}

#[tokio::test]
async fn an_append_of_unknown_fate_is_processing_and_a_retry_settles_it() {
    let stage = Stage::with(impatient()).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    stage.broker.faults().go_silent();
    assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Processing);
    assert_eq!(lock(&stage.world.ledger).stock, 99, "the hold stays");
    stage.broker.faults().heal();
    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted);
    assert_eq!(lock(&stage.world.ledger).stock, 99);
    let holds = stage.recorded(1).await;
    assert!(holds.iter().all(|hold| hold.order == ticket.order));
}

#[tokio::test]
async fn without_room_in_the_journal_nothing_is_reserved() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let hold = PlacedHold {
        order: OrderId::mint(ShardNo::new(SHARD).unwrap(), [1; 12]),
        user: UserId::random(),
        quantity: 1,
        unit_price: 1,
        taken_at_ms: 1,
        traceparent: "x".repeat(55),
    };
    while stage.journal.has_room(PARTITION) {
        let command = Command::HoldsPlaced {
            epoch: Epoch::new(7).unwrap(),
            item: None,
            holds: vec![hold.clone(); 1024],
        };
        let shard = ShardNo::new(SHARD).unwrap();
        let record = Record { command_id: CommandId::random(), shard, command };
        stage.journal.append(PARTITION, &record).await.unwrap();
    }
    let overloaded = (tonic::Code::Unavailable, "OVERLOADED".to_owned(), true);
    assert_eq!(said(buyer.buy(&ticket, 1).await), overloaded);
    assert_eq!(stage.world.batches(), [0; 0], "the ledger isn't asked");
    assert_eq!(lock(&stage.world.ledger).stock, 100);
}

#[tokio::test]
async fn a_late_acknowledgement_is_no_promise() {
    let journal = journal::Settings { message_timeout_ms: 4000, ..Default::default() };
    let stage = Stage::with(Plan { lease_ms: 1000, journal, ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    stage.broker.faults().answer_late(Duration::from_millis(1500));
    assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Processing);
    stage.broker.faults().heal();
    assert_eq!(stage.recorded(1).await[0].order, ticket.order);
}
