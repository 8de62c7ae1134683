//! What is written can be read, and nothing else can.

use proptest::{collection::vec, prelude::*};

use super::*;

fn shard() -> impl Strategy<Value = ShardNo> {
    (1u32..).prop_map(|number| ShardNo::new(number).unwrap())
}

fn epoch() -> impl Strategy<Value = Epoch> {
    any::<u64>().prop_map(Epoch::from_random_bits)
}

fn hold(shard: ShardNo) -> impl Strategy<Value = PlacedHold> {
    let ids = (any::<[u8; 12]>(), any::<[u8; 16]>());
    (ids, 1u32.., 0i64.., any::<u64>(), "[ -~]{0,64}").prop_map(
        move |((hash, user), quantity, unit_price, taken_at_ms, traceparent)| PlacedHold {
            order: OrderId::mint(shard, hash),
            user: UserId::from_bytes(user),
            quantity,
            unit_price,
            taken_at_ms,
            traceparent,
        },
    )
}

fn command(shard: ShardNo) -> impl Strategy<Value = Command> {
    let opened = (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u32>(), 1u32.., 0i64.., any::<u32>())
        .prop_map(|(sale, item, total, limit_per_user, unit_price, pay_within_s)| {
            Command::ItemOpened(ItemOpened {
                sale: SaleId::from_bytes(sale),
                item: ItemId::from_bytes(item),
                total,
                limit_per_user,
                unit_price,
                currency: "EUR".to_owned(),
                pay_within_s,
            })
        });
    let changed = (proptest::option::of(epoch()), epoch())
        .prop_filter("an epoch is used once", |(from, to)| *from != Some(*to))
        .prop_map(|(from, to)| Command::EpochChanged { from, to });
    let item = proptest::option::of(any::<[u8; 16]>().prop_map(ItemId::from_bytes));
    let placed = (epoch(), item, vec(hold(shard), 1..40))
        .prop_map(|(epoch, item, holds)| Command::HoldsPlaced { epoch, item, holds });
    prop_oneof![opened, changed, placed]
}

fn record() -> impl Strategy<Value = Record> {
    shard().prop_flat_map(|shard| {
        (any::<[u8; 16]>(), command(shard)).prop_map(move |(id, command)| Record {
            command_id: CommandId::from_bytes(id),
            shard,
            command,
        })
    })
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_was(record in record()) {
        prop_assert_eq!(record.check(), Ok(()));
        prop_assert_eq!(decode(&encode(&record)), Ok(record));
    }

    #[test]
    fn a_record_that_is_cut_off_is_refused(record in record(), keep in 0.0..1.0f64) {
        let bytes = encode(&record);
        let keep = (bytes.len() as f64 * keep) as usize;
        prop_assert!(decode(&bytes[..keep]).is_err());
    }

    #[test]
    fn what_garbage_decodes_to_keeps_all_rules(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok(record) = decode(&bytes) {
            prop_assert_eq!(record.check(), Ok(()));
        }
    }

    #[test]
    fn a_damaged_record_is_refused_or_keeps_all_rules(
        record in record(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode(&record).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(decoded) = decode(&bytes) {
            prop_assert_eq!(decoded.check(), Ok(()));
            prop_assert_eq!(decode(&encode(&decoded)), Ok(decoded));
        }
    }
}

/// An envelope that is right, for a test to spoil.
fn envelope() -> pb::Envelope {
    let shard = ShardNo::new(7).unwrap();
    let hold = pb::PlacedHold {
        order_id: Bytes::copy_from_slice(OrderId::mint(shard, [9; 12]).as_bytes()),
        user_id: Bytes::from_static(&[1; 16]),
        quantity: 1,
        unit_price: 100,
        taken_at_ms: 5,
        traceparent: String::new(),
    };
    let placed = pb::HoldsPlaced { epoch: 3, holds: vec![hold], item_id: Bytes::new() };
    pb::Envelope {
        schema: 1,
        command_id: Bytes::from_static(&[2; 16]),
        shard_no: 7,
        command: Some(pb::envelope::Command::HoldsPlaced(placed)),
    }
}

fn opened() -> pb::ItemOpened {
    pb::ItemOpened {
        sale_id: Bytes::from_static(&[1; 16]),
        item_id: Bytes::from_static(&[2; 16]),
        total: 10,
        limit_per_user: 2,
        unit_price: 100,
        currency: "EUR".to_owned(),
        pay_within_seconds: 900,
    }
}

fn with_hold(spoil: impl FnOnce(&mut pb::PlacedHold)) -> pb::Envelope {
    let mut envelope = envelope();
    if let Some(pb::envelope::Command::HoldsPlaced(placed)) = &mut envelope.command {
        spoil(&mut placed.holds[0]);
    }
    envelope
}

fn with_holds(count: usize) -> pb::Envelope {
    let mut envelope = envelope();
    if let Some(pb::envelope::Command::HoldsPlaced(placed)) = &mut envelope.command {
        placed.holds = vec![placed.holds[0].clone(); count];
    }
    envelope
}

fn with_item(spoil: impl FnOnce(&mut pb::ItemOpened)) -> pb::Envelope {
    let mut opened = opened();
    spoil(&mut opened);
    let command = Some(pb::envelope::Command::ItemOpened(opened));
    pb::Envelope { command, ..envelope() }
}

fn with_epochs(from: i64, to: i64) -> pb::Envelope {
    let command = Some(pb::envelope::Command::EpochChanged(pb::EpochChanged { from, to }));
    pb::Envelope { command, ..envelope() }
}

fn check(envelope: &pb::Envelope, reason: Result<(), &str>) {
    let decoded = decode(&envelope.encode_to_vec()).map(drop).map_err(|error| error.to_string());
    assert_eq!(decoded, reason.map_err(str::to_owned), "{envelope:?}");
}

#[test]
fn a_dead_letter_says_precisely_what_is_wrong() {
    check(&envelope(), Ok(()));
    check(&with_holds(1024), Ok(()));
    check(&with_item(|_| ()), Ok(()));
    check(&with_epochs(0, 1), Ok(()));

    let sixteen = "must be 16 bytes";
    let short = || Bytes::from_static(&[1; 15]);
    check(&pb::Envelope { schema: 0, ..envelope() }, Err("has schema 0, and only 1 is known"));
    check(&pb::Envelope { schema: 2, ..envelope() }, Err("has schema 2, and only 1 is known"));
    check(
        &pb::Envelope { command_id: short(), ..envelope() },
        Err(&format!("command_id {sixteen}")),
    );
    check(
        &pb::Envelope { shard_no: 0, ..envelope() },
        Err("shard_no must be a shard number of 1 or more"),
    );
    check(&pb::Envelope { command: None, ..envelope() }, Err("has no command that is known"));

    check(&with_holds(0), Err("holds_placed has no holds"));
    check(&with_holds(1025), Err("holds_placed has 1025 holds, more than 1024"));
    check(&with_hold(|hold| hold.order_id = short()), Err(&format!("hold.order_id {sixteen}")));
    check(
        &with_hold(|hold| hold.order_id = Bytes::from_static(&[1; 16])),
        Err("hold.order_id must be an order id"),
    );
    check(&with_hold(|hold| hold.user_id = short()), Err(&format!("hold.user_id {sixteen}")));
    check(&with_hold(|hold| hold.quantity = 0), Err("hold 0 has a quantity of 0"));
    check(&with_hold(|hold| hold.unit_price = -1), Err("hold 0 has a negative unit price"));
    check(
        &pb::Envelope { shard_no: 8, ..envelope() },
        Err("hold 0 is for an order of shard 7, but the record is for shard 8"),
    );

    check(&with_epochs(-1, 5), Err("epoch_changed.from must be an epoch of 1 or more"));
    check(&with_epochs(5, 0), Err("epoch_changed.to must be an epoch of 1 or more"));
    check(&with_epochs(5, 5), Err("epoch_changed has the same epoch on both sides"));

    check(
        &with_item(|item| item.sale_id = short()),
        Err(&format!("item_opened.sale_id {sixteen}")),
    );
    check(
        &with_item(|item| item.item_id = short()),
        Err(&format!("item_opened.item_id {sixteen}")),
    );
    check(&with_item(|item| item.limit_per_user = 0), Err("item_opened has a limit of 0 per user"));
    check(&with_item(|item| item.unit_price = -1), Err("item_opened has a negative unit price"));
    check(
        &with_item(|item| item.currency = "eur".to_owned()),
        Err("item_opened has a currency that is not three capital letters"),
    );
}

#[test]
fn an_epoch_of_holds_is_never_zero() {
    let mut envelope = envelope();
    if let Some(pb::envelope::Command::HoldsPlaced(placed)) = &mut envelope.command {
        placed.epoch = 0;
    }
    check(&envelope, Err("holds_placed.epoch must be an epoch of 1 or more"));
}

#[test]
fn an_item_of_holds_is_an_id_or_not_said() {
    let of = |item_id: &'static [u8]| {
        let mut envelope = envelope();
        if let Some(pb::envelope::Command::HoldsPlaced(placed)) = &mut envelope.command {
            placed.item_id = Bytes::from_static(item_id);
        }
        envelope
    };
    check(&of(b""), Ok(()));
    check(&of(&[7; 16]), Ok(()));
    assert!(decode(&of(b"short").encode_to_vec()).is_err());
}

#[test]
fn a_command_of_a_later_version_is_a_dead_letter() {
    // Field 13 is reserved for one.
    let mut bytes = pb::Envelope { command: None, ..envelope() }.encode_to_vec();
    bytes.extend([13 << 3 | 2, 0]);
    assert_eq!(decode(&bytes), Err(Undecodable::UnknownCommand));
}

#[test]
fn what_is_too_large_is_not_even_parsed() {
    let bytes = vec![0xff; RECORD_BYTES_MAX + 1];
    assert_eq!(decode(&bytes), Err(Undecodable::TooLarge(RECORD_BYTES_MAX + 1)));
    assert!(matches!(decode(&bytes[1..]), Err(Undecodable::Malformed(_))));
}

#[test]
fn a_trace_context_that_is_too_long_costs_no_order() {
    let decoded = decode(&with_hold(|hold| hold.traceparent = "x".repeat(65)).encode_to_vec());
    let Command::HoldsPlaced { holds, .. } = decoded.unwrap().command else { panic!() };
    assert_eq!(holds[0].traceparent, "");
}

#[test]
fn the_largest_record_of_ordinary_holds_is_far_below_the_limit() {
    let mut envelope = with_holds(HOLDS_MAX);
    if let Some(pb::envelope::Command::HoldsPlaced(placed)) = &mut envelope.command {
        for hold in &mut placed.holds {
            hold.traceparent = "x".repeat(TRACEPARENT_LEN_MAX);
            (hold.quantity, hold.unit_price, hold.taken_at_ms) = (u32::MAX, i64::MAX, u64::MAX);
        }
    }
    assert!(envelope.encoded_len() < RECORD_BYTES_MAX / 4, "{}", envelope.encoded_len());
}
