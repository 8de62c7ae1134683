//! The audit sees what somebody moves by hand in the real stores, whatever it is: each damage makes
//! it exit 1 and say what is wrong, and once it is undone the audit is clean again. And it says
//! nothing false of a sale that goes on.

use ids::ShardNo;
use proto::gateway::v1::PurchaseState;

use crate::{
    faults::RUSH,
    house::{self, Offer, eventually},
    shop::{Layout, PATIENCE, Shop},
};

const AUDITS: usize = 100;

/// What is done to a store, how that is undone, and what the audit must say meanwhile.
struct Damage {
    name: &'static str,
    done: Hand,
    undone: Hand,
    says: &'static [&'static str],
}

/// By whose hand; `#` in a script stands for the shard's number.
#[derive(Clone, Copy)]
enum Hand {
    Books(&'static str),
    Ledger(&'static str),
}

use Hand::{Books, Ledger};

/// The first order of the shard, in a script.
const FIRST: &str = "local head = 'seckill:{#}:head'
    local room = 'seckill:{#}:' .. redis.call('HGET', head, 'epoch')
    local ids = redis.call('HKEYS', room .. ':orders')
    table.sort(ids)
    local first = ids[1] ~= 'epoch' and ids[1] or ids[2]
    ";

#[rustfmt::skip]
const DAMAGES: [Damage; 19] = [
    Damage {
        name: "a row is gone",
        done: Books("CREATE TABLE kept AS SELECT * FROM orders ORDER BY order_id LIMIT 1; \
            DELETE FROM orders ORDER BY order_id LIMIT 1"),
        undone: Books("INSERT INTO orders SELECT * FROM kept; DROP TABLE kept"),
        says: &["are in no row", "I-3"],
    },
    Damage {
        name: "one row is gone and another is nobody's, and all sums agree",
        done: Books("UPDATE orders SET order_id = \
            CONCAT(SUBSTR(order_id, 1, 15), CHAR(ORD(SUBSTR(order_id, 16)) ^ 1)) \
            ORDER BY order_id LIMIT 1"),
        undone: Books("UPDATE orders SET order_id = \
            CONCAT(SUBSTR(order_id, 1, 15), CHAR(ORD(SUBSTR(order_id, 16)) ^ 1)) \
            ORDER BY order_id LIMIT 1"),
        says: &["are in no row", "of which the ledger knows nothing"],
    },
    Damage {
        name: "a row is another user's",
        done: Books("UPDATE orders SET user_id = \
            CONCAT(SUBSTR(user_id, 1, 15), CHAR(ORD(SUBSTR(user_id, 16)) ^ 1)) \
            ORDER BY order_id LIMIT 1"),
        undone: Books("UPDATE orders SET user_id = \
            CONCAT(SUBSTR(user_id, 1, 15), CHAR(ORD(SUBSTR(user_id, 16)) ^ 1)) \
            ORDER BY order_id LIMIT 1"),
        says: &["another user or quantity"],
    },
    Damage {
        name: "a row has more units",
        done: Books("UPDATE orders SET quantity = quantity + 1 ORDER BY order_id LIMIT 1"),
        undone: Books("UPDATE orders SET quantity = quantity - 1 ORDER BY order_id LIMIT 1"),
        says: &["another user or quantity", "guard row sold"],
    },
    Damage {
        name: "a row names another item",
        done: Books("UPDATE orders SET sale_id = item_id ORDER BY order_id LIMIT 1"),
        undone: Books("UPDATE orders SET sale_id = (SELECT sale_id FROM shard)"),
        says: &["name another sale, item or currency"],
    },
    Damage {
        name: "a row has another price",
        done: Books("UPDATE orders SET unit_price = unit_price - 1 ORDER BY order_id LIMIT 1"),
        undone: Books("UPDATE orders SET unit_price = unit_price + 1 ORDER BY order_id LIMIT 1"),
        says: &["rows have prices"],
    },
    Damage {
        name: "a row was refused",
        done: Books("UPDATE orders SET state = 5 ORDER BY order_id LIMIT 1"),
        undone: Books("UPDATE orders SET state = 1 ORDER BY order_id LIMIT 1"),
        says: &["the books refused 1 holds", "live in one store and dead in the other"],
    },
    Damage {
        name: "a row belongs to no shard",
        done: Books("CREATE TABLE kept AS SELECT * FROM orders ORDER BY order_id LIMIT 1; \
            UPDATE kept SET shard_no = 9999, order_id = CONCAT(CHAR(9), SUBSTR(order_id, 2)), \
            item_id = sale_id; INSERT INTO orders SELECT * FROM kept; DROP TABLE kept"),
        undone: Books("DELETE FROM orders WHERE shard_no = 9999"),
        says: &["1 rows name a shard that the books don't have"],
    },
    Damage {
        name: "the books have a shard that nobody knows",
        done: Books("CREATE TABLE kept AS SELECT * FROM shard; UPDATE kept SET shard_no = 999; \
            INSERT INTO shard SELECT * FROM kept; DROP TABLE kept"),
        undone: Books("DELETE FROM shard WHERE shard_no = 999"),
        says: &["shard 999: the books have sold"],
    },
    Damage {
        name: "the books have another item under the number",
        done: Books("UPDATE shard SET item_id = sale_id"),
        undone: Books("UPDATE shard SET item_id = (SELECT MIN(item_id) FROM orders)"),
        says: &["another item under this number"],
    },
    Damage {
        name: "the books have another limit",
        done: Books("UPDATE shard SET limit_per_user = limit_per_user + 1"),
        undone: Books("UPDATE shard SET limit_per_user = limit_per_user - 1"),
        says: &["the books' limit per user"],
    },
    Damage {
        name: "the guard row lies",
        done: Books("UPDATE shard SET sold = sold - 1"),
        undone: Books("UPDATE shard SET sold = sold + 1"),
        says: &["guard row sold"],
    },
    Damage {
        name: "the books have more than was planned",
        done: Books("UPDATE shard SET total = total + 1"),
        undone: Books("UPDATE shard SET total = total - 1"),
        says: &["planned", "I-3"],
    },
    Damage {
        name: "a record can't be read",
        done: Books("INSERT INTO dead_letter (journal_identity, partition_id, record_offset, \
            digest, reason, bytes, found_at_ms) SELECT 'another', partition_id, 0, \
            REPEAT(CHAR(7), 32), 'by hand', '', 0 FROM shard"),
        undone: Books("DELETE FROM dead_letter"),
        says: &["can't be read"],
    },
    Damage {
        name: "a unit of the stock is gone",
        done: Ledger("redis.call('HINCRBY', 'seckill:{#}:head', 'left', -1)"),
        undone: Ledger("redis.call('HINCRBY', 'seckill:{#}:head', 'left', 1)"),
        says: &["I-3"],
    },
    Damage {
        name: "the ledger has another limit",
        done: Ledger("redis.call('HINCRBY', 'seckill:{#}:head', 'limit', 1)"),
        undone: Ledger("redis.call('HINCRBY', 'seckill:{#}:head', 'limit', -1)"),
        says: &["the ledger's limit per user"],
    },
    Damage {
        name: "the ledger has forgotten an order, and its user's units with it",
        done: Ledger("redis.call('HSET', 'kept', 'id', first, 'record', \
            redis.call('HGET', room .. ':orders', first)) \
            redis.call('HDEL', room .. ':orders', first)"),
        undone: Ledger("local kept = redis.call('HMGET', 'kept', 'id', 'record') \
            redis.call('HSET', room .. ':orders', kept[1], kept[2]) redis.call('DEL', 'kept')"),
        says: &["of which the ledger knows nothing", "I-3"],
    },
    Damage {
        name: "the ledger has an order that the books don't have",
        done: Ledger("local last = string.char(bit.bxor(string.byte(first, 16), 1)) \
            local made = string.sub(first, 1, 15) .. last \
            redis.call('HSET', 'kept', 'id', made) \
            redis.call('HSET', room .. ':orders', made, \
            redis.call('HGET', room .. ':orders', first))"),
        undone: Ledger("redis.call('HDEL', room .. ':orders', redis.call('HGET', 'kept', 'id')) \
            redis.call('DEL', 'kept')"),
        says: &["are in no row"],
    },
    Damage {
        name: "the ledger has a shard open that nobody knows",
        done: Ledger("redis.call('COPY', head, 'seckill:{900}:head') \
            for _, part in ipairs({ 'orders', 'users', 'waiting' }) do \
            redis.call('COPY', room .. ':' .. part, \
            string.gsub(room, '{#}', '{900}') .. ':' .. part) end"),
        undone: Ledger("redis.call('DEL', 'seckill:{900}:head')"),
        says: &["shard 900: the ledger has it open"],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_named_and_a_sale_at_rest_is_clean() {
    let shop = Shop::open(Layout::default()).await;
    let sale = shop.sell(Offer { units: 10, limit_per_user: 3, ..Offer::default() }).await;
    for number in 0..3 {
        let shopper = shop.shopper(number % 2).await;
        let ticket = shopper.ticket(&sale.item_id, 1, "one").await.expect("the sale is open");
        let answer = shopper.purchase(&ticket, 1).await.expect("there are units");
        assert_eq!(answer, PurchaseState::Accepted);
    }
    shop.at_rest(sale.shard, PATIENCE).await;
    clean(&shop, "nothing was damaged").await;
    for Damage { name, done, undone, says } in DAMAGES {
        by_hand(&shop, sale.shard, done).await;
        let (code, said) = shop.audit().await;
        assert_eq!(code, Some(1), "{name}: {said}");
        for what in says {
            assert!(said.contains(what), "{name}: nobody says {what:?} in {said}");
        }
        by_hand(&shop, sale.shard, undone).await;
        clean(&shop, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_goes_on_is_never_called_broken() {
    let shop = Shop::open(Layout::default()).await;
    let rushing = shop.rush(RUSH).await;
    shop.taken(shop.sale().await.shard, 1).await;
    for _ in 0..AUDITS {
        let (code, said) = shop.audit().await;
        // 75: it can't be told while holds are open.
        assert!(matches!(code, Some(0 | 75)), "{code:?}: {said}");
    }
    rushing.sells_out().await;
}

async fn by_hand(shop: &Shop, shard: ShardNo, hand: Hand) {
    match hand {
        Books(statements) => house::by_hand(shop.stores.books_url(), statements).await,
        Ledger(script) => {
            let script = [FIRST, script].concat().replace('#', &shard.to_string());
            shop.stores.redis.eval(&script).await;
        }
    }
}

/// It may take a moment: what was damaged may still be told of.
async fn clean(shop: &Shop, after: &str) {
    eventually(&format!("the audit is clean: {after}"), PATIENCE, async || {
        let (code, said) = shop.audit().await;
        assert_ne!(code, Some(1), "after {after}: {said}");
        (code == Some(0)).then_some(())
    })
    .await;
}
