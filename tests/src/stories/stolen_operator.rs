//! An operator's token is stolen. Whoever has it makes another one under another name; its owner is
//! revoked. Both are void everywhere within the interval, and what others made goes on.

use proto::{
    inventory::v1::PauseItemRequest,
    user::v1::{
        IssueOperatorTokenRequest, OperatorRight, RevokeOperatorTokensRequest,
        operator_service_client::OperatorServiceClient, revoke_operator_tokens_request::Whose,
    },
};
use tonic::transport::Channel;

use crate::house::{House, Offer, PATIENCE, as_operator, eventually, reason};

async fn issue(
    people: &OperatorServiceClient<Channel>,
    token: &str,
    name: &str,
    rights: &[OperatorRight],
) -> Result<String, tonic::Status> {
    let rights = rights.iter().map(|right| i32::from(*right)).collect();
    let request = IssueOperatorTokenRequest { name: name.into(), lifetime_seconds: 600, rights };
    let issued = people.clone().issue_operator_token(as_operator(token, request)).await?;
    Ok(issued.into_inner().operator_token)
}

#[tokio::test]
async fn a_stolen_operators_token_is_void_everywhere_with_all_it_has_made() {
    use OperatorRight::{MakeOperators, Read, RunSales};
    let house = House::open().await;
    let sale = house.sell(Offer::default()).await;
    let people = house.operators();
    let root = house.operator();
    let ann = issue(&people, root, "ann", &[Read, RunSales, MakeOperators]).await.expect("ann");
    let bob = issue(&people, root, "bob", &[Read, RunSales]).await.expect("bob");
    let zed = issue(&people, &ann, "zed", &[RunSales, MakeOperators]).await.expect("zed");

    let pause = async |token: &str| {
        let request = PauseItemRequest { item_id: sale.item_id.clone() };
        house.catalog().pause_item(as_operator(token, request)).await.map(drop)
    };
    for token in [&ann, &bob, &zed] {
        pause(token).await.expect("all of them may run sales");
    }
    let request =
        RevokeOperatorTokensRequest { whose: Some(Whose::Name("ann".into())), issued_before: None };
    people.clone().revoke_operator_tokens(as_operator(root, request)).await.expect("revoked");
    for token in [&ann, &zed] {
        let refused = issue(&people, token, "yen", &[RunSales]).await.expect_err("void at once");
        assert_eq!(reason(&refused), "UNAUTHENTICATED");
        eventually("inventory-svc has heard of it", PATIENCE, async || {
            let refused = pause(token).await.err()?;
            assert_eq!(reason(&refused), "UNAUTHENTICATED");
            Some(())
        })
        .await;
    }
    pause(&bob).await.expect("bob's isn't concerned");
    let ann = issue(&people, root, "ann", &[RunSales]).await.expect("a new one");
    pause(&ann).await.expect("a new token is a new one");
    house.close().await;
}
