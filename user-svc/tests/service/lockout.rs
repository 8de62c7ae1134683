//! Who fails too often waits: the same words for an account that is there and one that isn't, and
//! nobody is kept out for good.

use std::time::Duration;

use chassis::status::retry_after_of;
use proto::user::v1::{SignInRequest, SignInResponse};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::house::{House, refused};

const EMAIL: &str = "ann@example.org";
const PASSWORD: &str = "correct horse";

impl House {
    async fn sign_in_from(
        &self,
        address: &str,
        email: &str,
        password: &str,
    ) -> Result<SignInResponse, Status> {
        let (email, password) = (email.to_owned(), password.to_owned());
        let mut request = Request::new(SignInRequest { email, password });
        let name = "x-seckill-client-address";
        request.metadata_mut().insert(name, address.parse().unwrap());
        self.users().sign_in(request).await.map(tonic::Response::into_inner)
    }
}

fn wrong() -> (Code, String) {
    (Code::Unauthenticated, "BAD_CREDENTIALS".to_owned())
}

fn waits() -> (Code, String) {
    (Code::ResourceExhausted, "RATE_LIMITED".to_owned())
}

#[tokio::test]
async fn too_many_failures_are_answered_alike_with_an_account_and_without() {
    let house = House::open().await;
    house.register(EMAIL, PASSWORD).await.unwrap();
    let mut answers = Vec::new();
    for email in [EMAIL, "bob@example.org"] {
        for _ in 0..house.config.lockout.pair_failures_max {
            let failed = house.sign_in_from("192.0.2.1", email, "battery staple").await;
            assert_eq!(refused(failed), wrong());
        }
        // From another address of the same network, and with the right password.
        let status = house.sign_in_from("192.0.2.99", email, PASSWORD).await.unwrap_err();
        let wait = retry_after_of(&status).unwrap();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        let quota = status.get_details_quota_failure().unwrap();
        assert_eq!(quota.violations[0].subject, "sign_in");
        answers.push((status.message().to_owned(), quota.violations[0].description.clone()));
        assert_eq!(refused::<()>(Err(status)), waits());
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn who_waited_may_try_again_and_the_next_wait_is_longer() {
    let house = House::open().await;
    house.register(EMAIL, PASSWORD).await.unwrap();
    for _ in 0..house.config.lockout.pair_failures_max {
        house.sign_in_from("192.0.2.1", EMAIL, "battery staple").await.unwrap_err();
    }
    house.shift.jump(Duration::from_secs(1));
    assert_eq!(refused(house.sign_in_from("192.0.2.1", EMAIL, "guess again").await), wrong());
    house.shift.jump(Duration::from_secs(1));
    assert_eq!(refused(house.sign_in_from("192.0.2.1", EMAIL, PASSWORD).await), waits());
    house.shift.jump(Duration::from_secs(1));
    house.sign_in_from("192.0.2.1", EMAIL, PASSWORD).await.unwrap();
    for _ in 1..house.config.lockout.pair_failures_max {
        house.sign_in_from("192.0.2.1", EMAIL, "battery staple").await.unwrap_err();
    }
    house.sign_in_from("192.0.2.1", EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn guesses_from_everywhere_end_but_not_where_the_user_is_at_home() {
    let house = House::open_with(|config| config.lockout.account_failures_max = 10).await;
    house.register(EMAIL, PASSWORD).await.unwrap();
    house.sign_in_from("2001:db8:1:2::1", EMAIL, PASSWORD).await.unwrap();
    for network in 0..10 {
        let address = format!("198.51.{network}.1");
        assert_eq!(refused(house.sign_in_from(&address, EMAIL, "guess it").await), wrong());
    }
    assert_eq!(refused(house.sign_in_from("198.51.100.1", EMAIL, "guess it").await), waits());
    house.sign_in_from("2001:db8:1:2::abcd", EMAIL, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_neighbourhood_that_tries_many_accounts_waits() {
    let house = House::open_with(|config| config.lockout.neighbourhood_failures_max = 10).await;
    house.register(EMAIL, PASSWORD).await.unwrap();
    for victim in 0..10 {
        let email = format!("victim-{victim}@example.org");
        assert_eq!(refused(house.sign_in_from("192.0.2.1", &email, "password").await), wrong());
    }
    assert_eq!(refused(house.sign_in_from("192.0.2.2", EMAIL, PASSWORD).await), waits());
    house.sign_in_from("192.0.3.2", EMAIL, PASSWORD).await.unwrap();
}
