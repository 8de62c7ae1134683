//! The process dies in the middle of its work; what it had answered is still true.

use std::sync::Arc;

use chassis::{Kind, Stopper, TaskOwner};
use tokio::sync::mpsc;

use crate::house::{House, PATIENCE};

const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn every_account_that_was_confirmed_survives_a_crash() {
    let house = Arc::new(House::open().await);
    let clients = TaskOwner::new("clients", Stopper::new());
    let (tell, mut confirmed) = mpsc::channel(1_000);
    for client in 0..4 {
        let (house, tell) = (Arc::clone(&house), tell.clone());
        clients.tasks().spawn(Kind::Disposable, "client", async move {
            for number in 0..1_000 {
                let email = format!("buyer{number}@client{client}.example");
                if house.register(&email, PASSWORD).await.is_err() {
                    return;
                }
                tell.send(email).await.unwrap();
            }
        });
    }
    let mut emails = Vec::new();
    while emails.len() < 20 {
        emails.push(tokio::time::timeout(PATIENCE, confirmed.recv()).await.unwrap().unwrap());
    }
    // Calls are in flight; each client ends with its first error.
    house.crash();
    drop(tell);
    while let Some(email) = tokio::time::timeout(PATIENCE, confirmed.recv()).await.unwrap() {
        emails.push(email);
    }
    drop(clients);
    let house = Arc::into_inner(house).unwrap().open_again().await;
    for email in &emails {
        house.sign_in(email, PASSWORD).await.unwrap();
    }
    house.register("new@example.org", PASSWORD).await.unwrap();
}
