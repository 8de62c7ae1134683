//! The tricks of [`super::insiders`], each for as long as it is let. Every account keeps below its
//! allowance, and they come from networks of their own.

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::join_all;
use tokio::{
    io::AsyncWriteExt as _,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    attacks::STREAMS,
    ground::{Ground, Places},
    wire::{DATA, END_STREAM, Wire, frame, head, hideout},
};
use crate::house::{Shopper, Ticket};

const LIST_ORDERS: &str = "/seckill.gateway.v1.GatewayService/ListOrders";
const WATCH_ITEM: &str = "/seckill.gateway.v1.GatewayService/WatchItem";

/// Eighteen a second, where twenty are allowed.
const EVERY: Duration = Duration::from_millis(55);
/// So few took the limit down.
const HASTY: usize = 4;
/// More than four times the buyers' calls.
const BUSY: u32 = 12;
/// The gateway answers this long before a deadline, rather than never, so it waits for nothing.
const TINY: Duration = Duration::from_millis(19);
/// The batch has left by then.
const LEAVES_AFTER: Duration = Duration::from_millis(2);
/// A quarter more than two cores keep in a crowd, in as many seconds as an attack lasts.
const UNREAD: usize = 2_600;
const UNREAD_AT_ONCE: usize = 32;
/// Four times what a network may have.
const MANY: usize = 4_000;
/// Connections that show forged tokens, so many at once: 1,800 a second, from one network, which
/// soon has used up its allowance.
const FORGERS: usize = 2;
const FORGED_AT_ONCE: usize = 50;

/// Accounts like anybody's, each with a ticket that was accepted.
#[derive(Clone)]
pub(super) struct Insiders {
    accounts: Arc<[(Shopper, Ticket)]>,
    item_id: Arc<str>,
    at: Places,
}

impl Insiders {
    /// Hires them.
    pub(super) async fn of(ground: &Ground) -> Self {
        let mut accounts = Vec::new();
        for (number, mut account) in ground.hire(BUSY).await.into_iter().enumerate() {
            account.channel = ground.channel_from(place(number));
            let ticket = account.ticket(&ground.sale.item_id, 1, "mine").await;
            let ticket = ticket.expect("they may buy");
            account.purchase(&ticket, 1).await.expect("they may buy");
            accounts.push((account, ticket));
        }
        let item_id = ground.sale.item_id.as_str().into();
        Self { accounts: accounts.into(), item_id, at: ground.places() }
    }

    /// WatchItem's message, as it is framed.
    fn item(&self) -> Vec<u8> {
        let id = self.item_id.as_bytes();
        let len = u8::try_from(id.len()).expect("an id is short");
        let mut message = vec![0, 0, 0, 0, len + 2, 0x0a, len];
        message.extend(id);
        message
    }
}

/// Four accounts to a network.
fn place(number: usize) -> Ipv4Addr {
    hideout(1_000 + number / 4)
}

/// Retries that can't be waited for.
pub(super) async fn hasty(insiders: Insiders) {
    again_and_again(&insiders.accounts[..HASTY], TINY).await;
}

/// Retries that are taken back as soon as they are under way.
pub(super) async fn cancelled(insiders: Insiders) {
    let all = insiders.accounts.iter().map(async |(account, ticket)| {
        let mut ticks = paced();
        loop {
            ticks.tick().await;
            let _left = timeout(LEAVES_AFTER, account.purchase(ticket, 2)).await;
        }
    });
    let _never: Vec<()> = join_all(all).await;
}

/// Retries of what was answered long ago.
pub(super) async fn replayed(insiders: Insiders) {
    again_and_again(&insiders.accounts, Duration::from_secs(2)).await;
}

async fn again_and_again(accounts: &[(Shopper, Ticket)], patience: Duration) {
    let mut under_way = JoinSet::new();
    let mut ticks = paced();
    loop {
        ticks.tick().await;
        for (account, ticket) in accounts.iter().cloned() {
            under_way.spawn(async move {
                let message =
                    proto::gateway::v1::PurchaseRequest { ticket: ticket.text, attempt: 2 };
                let mut request = account.request(message);
                request.set_timeout(patience);
                let _answer = account.client().purchase(request).await;
            });
        }
        while under_way.try_join_next().is_some() {}
    }
}

fn paced() -> tokio::time::Interval {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Connections with one stream each, whose window is shut.
pub(super) async fn unread_streams(insiders: Insiders) {
    let mut wires = Vec::new();
    let mut ticks = paced();
    for number in 0..UNREAD {
        if number % UNREAD_AT_ONCE == 0 {
            ticks.tick().await;
        }
        let from = hideout(2_000 + number / 100);
        let wire = Wire::open_with(from, insiders.at.public, 0).await;
        let Ok(mut wire) = wire else { continue };
        if watch(&mut wire, &insiders, 1).await.is_ok() {
            wires.push(wire);
        }
    }
    std::future::pending().await
}

/// As many streams as one network gets. They aren't read: it is their places that are wanted.
pub(super) async fn many_streams(insiders: Insiders) {
    let mut wires = Vec::new();
    for _ in 0..MANY / STREAMS {
        let Ok(mut wire) = Wire::open_with(hideout(3_000), insiders.at.public, 0).await else {
            continue;
        };
        if watch(&mut wire, &insiders, STREAMS).await.is_ok() {
            wires.push(wire);
        }
        sleep(EVERY).await;
    }
    std::future::pending().await
}

async fn watch(wire: &mut Wire, insiders: &Insiders, streams: usize) -> io::Result<()> {
    let mut frames = Vec::new();
    for _ in 0..streams {
        let stream = wire.next_stream();
        frames.extend(head(stream, 0, WATCH_ITEM, &[]));
        frames.extend(frame(DATA, END_STREAM, stream, &insiders.item()));
    }
    wire.io.write_all(&frames).await
}

/// Each token is another one, names a real key, and costs a look at its signature.
pub(super) async fn forged_signatures(insiders: Insiders) {
    let token = &insiders.accounts[0].0.token;
    let (signed, _) = token.rsplit_once('.').expect("three parts");
    let forgers = (0..FORGERS).map(async |_| {
        loop {
            let wire = Wire::open(hideout(4_000), insiders.at.public).await;
            if let Ok(mut wire) = wire {
                let _cut: io::Result<()> = show_forged(&mut wire, signed).await;
            }
        }
    });
    let _never: Vec<()> = join_all(forgers).await;
}

async fn show_forged(wire: &mut Wire, signed: &str) -> io::Result<()> {
    let mut ticks = paced();
    loop {
        ticks.tick().await;
        let mut frames = Vec::new();
        for _ in 0..FORGED_AT_ONCE {
            let signature: [u8; 64] = rand::random();
            let forged = format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature));
            let stream = wire.next_stream();
            frames.extend(head(stream, 0, LIST_ORDERS, &[("authorization", &forged)]));
            frames.extend(frame(DATA, END_STREAM, stream, &[0; 5]));
        }
        wire.io.write_all(&frames).await?;
        wire.until_ended(FORGED_AT_ONCE).await?;
    }
}
