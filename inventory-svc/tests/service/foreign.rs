//! A catalog that was restored from an older copy, and doesn't remember which shard numbers were
//! given: it gives none again, and a number that is another item's all the same is never loaded.

use chassis::status::{reason_of, retry_after_of};
use ids::{CommandId, Epoch, ItemId, SaleId, ShardNo};
use journal::{Command, ItemOpened, Record};
use proto::inventory::v1::{
    GetItemRequest, ListSalesRequest, ReserveResponse, Shard, ShardPhase, ShardRefusal,
    get_item_request::By, reserve_response::Answer,
};
use tonic::Code;

use crate::house::{House, PARTITIONS, eventually, sale};

/// The journal knows `shard` as that of an item of which the catalog knows nothing.
async fn opened_before(house: &House, shard: ShardNo) -> ItemId {
    let item = ItemId::random();
    let opened = ItemOpened {
        sale: SaleId::random(),
        item,
        total: 3,
        limit_per_user: 1,
        unit_price: 100,
        currency: "EUR".to_owned(),
        pay_within_s: 900,
    };
    let command = Command::ItemOpened(opened);
    let record = Record { command_id: CommandId::random(), shard, command };
    house.journal.append(shard.get() % PARTITIONS, &record).await.unwrap();
    eventually("the books read it", async || house.books.shard(shard.get()).is_some()).await;
    item
}

fn number(number: u32) -> ShardNo {
    ShardNo::new(number).unwrap()
}

/// What operators are shown of a shard.
async fn shown(house: &House, shard: ShardNo) -> Shard {
    let by = Some(By::ShardNo(shard.get()));
    let item = house.catalog().get_item(GetItemRequest { by }).await.unwrap().into_inner().item;
    item.unwrap().shards.remove(0)
}

fn is_loading(answer: &ReserveResponse) -> bool {
    answer.answer == Some(Answer::Refusal(ShardRefusal::Loading.into()))
}

#[tokio::test]
async fn a_number_that_the_books_know_is_not_given_again() {
    let house = House::open().await;
    opened_before(&house, number(3)).await;
    let made = house.create("r-1").await;
    assert_eq!(made.items[0].shards[0].shard_no, 4);
    house.schedule(&made).await;
    house.opened(number(4)).await;
    assert_eq!(house.hold(number(4), &[1]).await.left, 9);
}

#[tokio::test]
async fn no_number_is_given_while_nobody_can_say_which_were_seen() {
    let house = House::open().await;
    house.books.set_down(true);
    let refused = house.catalog().create_sale(house.operators(sale("r-1"))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(reason_of(&refused).as_deref(), Some("UPSTREAM_UNAVAILABLE"));
    assert!(retry_after_of(&refused).is_some());
    let listed = house.catalog().list_sales(ListSalesRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().sales, []);
    house.books.set_down(false);
    house.create("r-1").await;
}

#[tokio::test]
async fn a_shard_whose_number_is_anothers_never_opens() {
    let house = House::open().await;
    let made = house.create("r-1").await;
    let shard = number(made.items[0].shards[0].shard_no);
    // Behind the back of whoever gave the number.
    let owner = opened_before(&house, shard).await;
    house.schedule(&made).await;
    eventually("operators are shown whose it is", async || {
        shown(&house, shard).await.foreign_item_id == owner.to_string()
    })
    .await;
    let asked = house.books.shards_asked();
    eventually("it is looked at again", async || house.books.shards_asked() > asked + 5).await;
    assert_eq!(shown(&house, shard).await.phase(), ShardPhase::New, "nobody has claimed it");
    assert!(is_loading(&house.reserve(shard, &[1]).await));
    let books = house.books.shard(shard.get()).unwrap();
    assert_eq!((books.item, books.open), (owner, None), "its epoch is nobody's to change");
    // What is left to the operator is to make the sale anew.
    let anew = house.create("r-2").await;
    let fresh = house.schedule(&anew).await;
    house.opened(fresh).await;
}

#[tokio::test]
async fn an_open_shard_whose_number_is_anothers_is_closed_until_that_is_put_right() {
    let house = House::open().await;
    let (shard, epoch) = house.open_shard().await;
    assert_eq!(shown(&house, shard).await.foreign_item_id, "");
    let (ours, theirs) = (house.books.shard(shard.get()).unwrap().item, ItemId::random());
    house.books.set_item(shard.get(), theirs);
    eventually("nobody is let in", async || is_loading(&house.reserve(shard, &[1]).await)).await;
    eventually("operators are shown whose it is", async || {
        shown(&house, shard).await.foreign_item_id == theirs.to_string()
    })
    .await;
    assert_eq!(shown(&house, shard).await.phase(), ShardPhase::Loading);
    let open = house.books.shard(shard.get()).unwrap().open;
    assert_eq!(open.map(Epoch::get), Some(epoch), "its epoch is nobody's to end");

    house.books.set_item(shard.get(), ours);
    house.loaded_after(shard, epoch).await;
    eventually("nothing is shown any more", async || {
        shown(&house, shard).await.foreign_item_id.is_empty()
    })
    .await;
}
