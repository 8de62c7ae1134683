//! Rehearsals: many tokens for shoppers that don't exist, where that is allowed.

use std::collections::HashSet;

use proto::user::v1::{GrantRehearsalRequest, GrantRehearsalResponse};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use user_svc::BUYERS;

use crate::house::{House, PATIENCE, by, refused};

async fn grant(house: &House, shoppers: u32) -> Result<Streaming<GrantRehearsalResponse>, Status> {
    let request = GrantRehearsalRequest { shoppers, lifetime_seconds: 600 };
    let request = by(&house.first_operator(), request);
    Ok(house.operators().grant_rehearsal(request).await?.into_inner())
}

#[tokio::test]
async fn each_shopper_has_a_name_and_a_marked_token_of_its_own() {
    let house = House::open().await;
    let verifier = house.verifier(BUYERS).await;
    let mut stream = grant(&house, 1_201).await.unwrap();
    let (mut users, mut tokens) = (HashSet::new(), HashSet::new());
    let mut lengths = Vec::new();
    while let Some(batch) = timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
        lengths.push(batch.shoppers.len());
        for shopper in batch.shoppers {
            let claims = verifier.verify(&shopper.access_token).unwrap();
            assert!(claims.rehearsal);
            assert_eq!(claims.subject, shopper.user_id);
            users.insert(shopper.user_id);
            tokens.insert(shopper.access_token);
        }
    }
    assert_eq!(lengths, [500, 500, 201]);
    assert_eq!((users.len(), tokens.len()), (1_201, 1_201));
}

#[tokio::test]
async fn a_large_grant_arrives_whole() {
    let house = House::open().await;
    // More batches than the room for signing has places.
    let mut stream = grant(&house, 15_000).await.unwrap();
    let mut shoppers = 0;
    while let Some(batch) = timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
        shoppers += batch.shoppers.len();
    }
    assert_eq!(shoppers, 15_000);
}

#[tokio::test]
async fn where_rehearsals_are_off_nobody_gets_one() {
    let house = House::open_with(|config| config.rehearsal_allowed = false).await;
    let answer = grant(&house, 1).await;
    assert_eq!(refused(answer.map(drop)), (Code::PermissionDenied, "PERMISSION_DENIED".to_owned()));
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_signing() {
    let house = House::open().await;
    let mut endless = grant(&house, 1_000_000).await.unwrap();
    timeout(PATIENCE, endless.message()).await.unwrap().unwrap().unwrap();
    drop(endless);
    // The room would be full of the first grant's batches for half a minute.
    let mut next = grant(&house, 500).await.unwrap();
    let batch = timeout(PATIENCE, next.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(batch.shoppers.len(), 500);
}
