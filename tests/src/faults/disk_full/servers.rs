//! The same with servers: MariaDB, Redis and Kafka, each on a small disk of its own.

use futures::future::join_all;
use proto::{
    gateway::v1::OrderState,
    user::v1::{RegisterRequest, user_service_client::UserServiceClient},
};
use uuid::Uuid;

use super::{GOES_ON_WITHIN, ORDERS, are_rows, buy};
use crate::{
    house::{Offer, OpenSale, Shopper, Ticket, eventually, reason},
    shop::{Layout, OnSmallDisk, PATIENCE, Role, Shop},
};

/// As many as one user may buy, less the round afterwards.
const ROUNDS_MAX: u32 = 1_000 / ORDERS - 1;
/// More accounts, and sales, than a page of their tables holds.
const PAGES_FULL_OF: u32 = 400;

async fn open_on(store: OnSmallDisk) -> (Shop, OpenSale, Shopper) {
    let shop = Shop::open(Layout { on_small_disk: Some(store), ..Layout::default() }).await;
    let sale = shop.sell(Offer { units: 100_000, limit_per_user: 1_000, ..Offer::default() }).await;
    let shopper = shop.shopper(0).await;
    (shop, sale, shopper)
}

/// Everything that was accepted is there, once, and ledger and books agree.
async fn all_is_kept(shop: &Shop, sale: &OpenSale, shopper: &Shopper, accepted: &[Ticket]) {
    are_rows(shopper, accepted, GOES_ON_WITHIN).await;
    let all_are_ready = async || {
        (all_are_ready(&shop.orders).await && all_are_ready(&shop.inventories).await).then_some(())
    };
    eventually("all are ready", GOES_ON_WITHIN, all_are_ready).await;
    let ledger = shop.at_rest(sale.shard, PATIENCE).await;
    let rows = shop.rows(sale.shard).await;
    assert_eq!((rows.live_orders, rows.duplicate_orders), (ledger.placed_orders, 0));
    assert!(rows.live_orders >= accepted.len() as u64, "{rows:?}");
}

/// Whether all instances of a role say so.
async fn all_are_ready(roles: &[Role]) -> bool {
    join_all(roles.iter().map(Role::is_ready)).await.into_iter().all(|is_ready| is_ready)
}

/// Somebody new, if that can be written.
async fn register(shop: &Shop, number: u32) {
    let mut people = UserServiceClient::new(shop.user.channel());
    let email = format!("person-{number}@example.com");
    let person = RegisterRequest { email, password: "correct horse battery staple".to_owned() };
    let _written = people.register(person).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn books_on_a_server_outlive_its_full_disk() {
    let (shop, sale, shopper) = open_on(OnSmallDisk::MariaDb).await;
    let disk = shop.stores.disk.as_ref().expect("it is ours");
    disk.fill();
    // Pages that there are still take rows: until one is needed for which there is no room.
    let (mut accepted, mut rounds) = (Vec::new(), 0..ROUNDS_MAX);
    while all_are_ready(&shop.orders).await {
        let round = rounds.next().expect("the disk is full before that");
        accepted.extend(buy(&shopper, &sale, &format!("meanwhile {round}")).await);
    }
    let late = buy(&shopper, &sale, "later").await;
    assert!(!late.is_empty(), "nothing is wrong with the journal");
    let state = shopper.order(&late[0]).await.expect("who asks is answered");
    assert_eq!(state, OrderState::Processing);
    accepted.extend(late);

    disk.free();
    all_is_kept(&shop, &sale, &shopper, &accepted).await;
}

/// Nobody needs a new account or a new sale for the one that is under way, but those who do are not
/// sent there.
#[tokio::test(flavor = "multi_thread")]
async fn catalog_and_accounts_on_a_server_outlive_its_full_disk() {
    let (shop, sale, shopper) = open_on(OnSmallDisk::MariaDb).await;
    let disk = shop.stores.disk.as_ref().expect("it is ours");
    disk.fill();
    let user = std::slice::from_ref(&shop.user);
    let mut number = 0..PAGES_FULL_OF;
    while all_are_ready(user).await {
        let number = number.next().expect("the disk is full before that");
        register(&shop, number).await;
    }
    let mut number = 0..PAGES_FULL_OF;
    while all_are_ready(&shop.inventories).await {
        number.next().expect("the disk is full before that");
        shop.draft().await;
    }

    disk.free();
    eventually("people can register again", GOES_ON_WITHIN, async || {
        all_are_ready(user).await.then_some(())
    })
    .await;
    let accepted = buy(&shopper, &sale, "afterwards").await;
    all_is_kept(&shop, &sale, &shopper, &accepted).await;
}

/// Redis answers that it can't write, and so takes nothing: nobody is told that it was sold out.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_outlives_its_full_disk() {
    let (shop, sale, shopper) = open_on(OnSmallDisk::Redis).await;
    let mut accepted = buy(&shopper, &sale, "before").await;
    assert!(!accepted.is_empty());
    let disk = shop.stores.disk.as_ref().expect("it is ours");
    disk.fill();
    let (mut rounds, mut attempts) = (0..ROUNDS_MAX, Vec::new());
    while all_are_ready(&shop.inventories).await {
        let round = rounds.next().expect("the disk is full before that");
        accepted.extend(buy(&shopper, &sale, &format!("meanwhile {round}")).await);
    }
    for number in 0..ORDERS {
        let ticket = shopper.ticket(&sale.item_id, 1, &format!("later {number}")).await;
        let told = shopper.purchase(&ticket.expect("tickets need no ledger"), 1).await;
        attempts.push(reason(&told.expect_err("nothing is taken")));
    }
    let comes_back = ["LOADING", "UPSTREAM_UNAVAILABLE", "OVERLOADED"];
    assert!(attempts.iter().all(|told| comes_back.contains(&&**told)), "{attempts:?}");

    disk.free();
    all_is_kept(&shop, &sale, &shopper, &accepted).await;
    eventually("it sells again", GOES_ON_WITHIN, async || {
        (!buy(&shopper, &sale, &Uuid::new_v4().to_string()).await.is_empty()).then_some(())
    })
    .await;
}

/// A broker that can't write its log ends itself. Whoever keeps it running starts it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_outlives_its_full_disk() {
    let (mut shop, sale, shopper) = open_on(OnSmallDisk::Kafka).await;
    let mut accepted = buy(&shopper, &sale, "before").await;
    assert!(!accepted.is_empty());
    shop.stores.disk.as_ref().expect("it is ours").fill();
    accepted.extend(buy(&shopper, &sale, "meanwhile").await);
    shop.stores.kafka.as_mut().expect("it is ours").ends().await;

    shop.stores.disk.as_ref().expect("it is ours").free();
    shop.stores.kafka.as_mut().expect("it is ours").start_again().await;
    all_is_kept(&shop, &sale, &shopper, &accepted).await;
    eventually("it sells again", GOES_ON_WITHIN, async || {
        (!buy(&shopper, &sale, &Uuid::new_v4().to_string()).await.is_empty()).then_some(())
    })
    .await;
}
