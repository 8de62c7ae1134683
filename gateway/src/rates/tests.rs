//! Allowances: whose, how fast they come back, and what a flood of made-up names costs.

use super::*;

fn rates(keys_max: usize) -> (Rates, chassis::ClockShift) {
    let (clock, shift) = Clock::adjustable();
    let allowance = |per_s, burst| Allowance { per_s, burst };
    let settings = RateSettings {
        user: allowance(1, 3),
        network: allowance(1, 5),
        sale: allowance(1, 2),
        keys_max,
        forget_ms: 1000,
    };
    (Rates::new(&settings, clock), shift)
}

fn user(number: u32) -> UserId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    UserId::from_bytes(bytes)
}

#[test]
fn an_allowance_is_used_up_and_comes_back() {
    let (rates, shift) = rates(1000);
    assert!((0..3).all(|_| rates.user(user(1)).is_ok()));
    let TooOften { whose, wait } = rates.user(user(1)).unwrap_err();
    assert_eq!(whose, Whose::User);
    assert!(wait > Duration::from_millis(500) && wait <= Duration::from_secs(1), "{wait:?}");
    assert_eq!(rates.user(user(2)), Ok(()), "another's is whole");
    shift.jump(wait);
    assert_eq!(rates.user(user(1)), Ok(()));
    assert!(rates.user(user(1)).is_err());
    let sale = SaleId::from_bytes([1; 16]);
    assert!(rates.sale(sale).is_ok() && rates.sale(sale).is_ok());
    assert_eq!(rates.sale(sale).unwrap_err().whose, Whose::Sale);
}

#[test]
fn all_addresses_of_a_network_have_one_allowance() {
    for (one, other, beside) in [
        ("192.0.2.1", "192.0.2.254", "192.0.3.1"),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::1"),
        ("192.0.2.1", "::ffff:192.0.2.9", "::ffff:192.0.3.9"),
    ] {
        let (rates, _shift) = rates(1000);
        let take = |text: &str| rates.network(text.parse().unwrap());
        assert!((0..3).all(|_| take(one).is_ok()) && (0..2).all(|_| take(other).is_ok()));
        assert_eq!(take(one).unwrap_err().whose, Whose::Network, "{one}");
        assert!(take(other).is_err() && take(beside).is_ok(), "{other}, {beside}");
    }
}

#[test]
fn a_flood_of_names_is_bounded_and_shares_what_is_left() {
    let (rates, shift) = rates(640);
    // Someone who was here before the flood.
    assert_eq!(rates.user(user(0)), Ok(()));
    let began_at = rates.clock.now();
    let admitted = (1..300_000).filter(|number| rates.user(user(*number)).is_ok()).count();
    assert!(rates.len()[0] <= 640, "{:?}", rates.len());
    // One each for those who found room, and for the rest of each stripe three and one a second.
    let seconds = (rates.clock.now() - began_at).as_secs() as usize;
    assert!(admitted <= 640 + STRIPES * (4 + seconds), "{admitted} in {seconds} s");
    assert_eq!(rates.user(user(0)), Ok(()), "who was there keeps an own allowance");
    shift.jump(Duration::from_secs(10));
    rates.forget();
    assert_eq!(rates.len(), [0, 0, 0]);
    assert_eq!(rates.user(user(77)), Ok(()));
}

#[test]
fn a_flood_of_names_and_the_forgetting_of_them_give_nobody_a_new_allowance() {
    let (rates, _shift) = rates(20_000);
    let mut names = 1..;
    let (began_at, mut admitted) = (rates.clock.now(), 0);
    for _ in 0..100 {
        // Who keeps calling has used up what there was, and goes on.
        admitted += (0..10).filter(|_| rates.user(user(0)).is_ok()).count();
        for name in names.by_ref().take(10_000) {
            let _ = rates.user(user(name));
        }
        rates.forget();
        assert!(rates.len()[0] <= 20_000, "{:?}", rates.len());
    }
    assert_eq!(names.next(), Some(1_000_001));
    let seconds = (rates.clock.now() - began_at).as_secs() as usize;
    assert!(admitted <= 3 + 1 + seconds, "{admitted} in {seconds} s");
}

#[test]
fn who_is_owed_nothing_is_forgotten_and_others_are_not() {
    let (rates, shift) = rates(1000);
    assert!((0..3).all(|_| rates.user(user(1)).is_ok()));
    assert_eq!(rates.user(user(2)), Ok(()));
    shift.jump(Duration::from_millis(2100));
    rates.forget();
    assert_eq!(rates.len()[0], 1);
    assert!((0..2).all(|_| rates.user(user(1)).is_ok()), "two are back");
    assert!(rates.user(user(1)).is_err());
}
