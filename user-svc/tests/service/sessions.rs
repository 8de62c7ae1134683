//! Sessions: a refresh token is good once, a copied one ends the session, and nobody learns which
//! sessions there are.

use std::time::Duration;

use futures::future::join_all;
use proto::user::v1::{
    RefreshSessionRequest, RefreshSessionResponse, SignInResponse, SignOutRequest,
};
use tonic::{Code, Status};
use user_svc::BUYERS;

use crate::house::{House, refused, said, violations};

const EMAIL: &str = "ann@example.org";
const PASSWORD: &str = "correct horse";

impl House {
    async fn session(&self) -> SignInResponse {
        self.sign_in(EMAIL, PASSWORD).await.unwrap()
    }

    async fn refresh(&self, token: &str) -> Result<RefreshSessionResponse, Status> {
        let request = RefreshSessionRequest { refresh_token: token.to_owned() };
        self.users().refresh_session(request).await.map(tonic::Response::into_inner)
    }

    /// The refresh token that the next one is given for.
    async fn next(&self, token: &str) -> String {
        self.refresh(token).await.unwrap().refresh_token
    }

    async fn sign_out(&self, token: &str) -> Result<(), Status> {
        let request = SignOutRequest { refresh_token: token.to_owned() };
        self.users().sign_out(request).await.map(|_| ())
    }
}

async fn open() -> House {
    let house = House::open().await;
    house.register(EMAIL, PASSWORD).await.unwrap();
    house
}

fn past_lost_answers(house: &House) -> Duration {
    Duration::from_secs(u64::from(house.config.sessions.lost_answer_s) + 1)
}

/// What is said of everything that continues no session.
fn ended() -> (Code, String) {
    (Code::Unauthenticated, "SESSION_ENDED".to_owned())
}

#[tokio::test]
async fn a_session_goes_on_without_a_password() {
    let house = open().await;
    let signed_in = house.session().await;
    let mut token = signed_in.refresh_token.clone();
    for _ in 0..3 {
        house.shift.jump(Duration::from_secs(3_600));
        let refreshed = house.refresh(&token).await.unwrap();
        assert_eq!(refreshed.user_id, signed_in.user_id);
        assert_ne!(refreshed.refresh_token, token);
        assert!(
            refreshed.session_expires_at.unwrap().seconds > refreshed.expires_at.unwrap().seconds
        );
        let claims = house.verifier(BUYERS).await.verify(&refreshed.access_token).unwrap();
        assert_eq!(claims.subject, signed_in.user_id);
        token = refreshed.refresh_token;
    }
}

#[tokio::test]
async fn a_copied_token_ends_the_session_for_everybody() {
    let house = open().await;
    let (stolen, elsewhere) = (house.session().await, house.session().await);
    let present = house.next(&stolen.refresh_token).await;
    house.shift.jump(past_lost_answers(&house));
    assert_eq!(refused(house.refresh(&stolen.refresh_token).await), ended());
    assert_eq!(refused(house.refresh(&present).await), ended(), "whoever has it");
    house.next(&elsewhere.refresh_token).await;
}

#[tokio::test]
async fn a_token_that_was_spent_long_ago_ends_the_session_at_once() {
    let house = open().await;
    let first = house.session().await.refresh_token;
    let second = house.next(&first).await;
    let third = house.next(&second).await;
    assert_eq!(refused(house.refresh(&first).await), ended(), "its answer isn't lost");
    assert_eq!(refused(house.refresh(&third).await), ended());
}

#[tokio::test]
async fn a_lost_answer_is_given_again_for_a_moment() {
    let house = open().await;
    let first = house.session().await.refresh_token;
    let second = house.next(&first).await;
    assert_eq!(house.next(&first).await, second);
    let third = house.next(&second).await;
    house.shift.jump(past_lost_answers(&house));
    house.next(&third).await;
}

#[tokio::test]
async fn many_who_refresh_at_once_get_one_token() {
    let house = open().await;
    let token = house.session().await.refresh_token;
    let answers = join_all((0..20).map(|_| house.refresh(&token))).await;
    let mut next: Vec<_> = answers.into_iter().map(|it| it.unwrap().refresh_token).collect();
    next.dedup();
    assert_eq!(next.len(), 1);
    house.next(&next[0]).await;
}

#[tokio::test]
async fn every_token_that_continues_nothing_is_refused_in_the_same_words() {
    let house = open().await;
    let copied = house.session().await.refresh_token;
    house.next(&copied).await;
    let signed_out = house.session().await.refresh_token;
    house.sign_out(&signed_out).await.unwrap();
    let idle = house.session().await.refresh_token;
    house.shift.jump(Duration::from_secs(u64::from(house.config.sessions.idle_s_max)));
    let unknown = "A".repeat(copied.len());
    let mut answers = Vec::new();
    for token in [&copied, &signed_out, &idle, &unknown] {
        let status = house.refresh(token).await.unwrap_err();
        answers.push((status.message().to_owned(), status.details().to_vec()));
        assert_eq!(refused::<()>(Err(status)), ended());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn whoever_signs_out_is_out_by_any_token_and_again() {
    let house = open().await;
    let first = house.session().await.refresh_token;
    let second = house.next(&first).await;
    for _ in 0..2 {
        house.sign_out(&first).await.unwrap();
        assert_eq!(refused(house.refresh(&second).await), ended());
    }
}

#[tokio::test]
async fn a_session_has_a_longest_life() {
    let house = open().await;
    let mut token = house.session().await.refresh_token;
    let (idle_s, life_s) = (house.config.sessions.idle_s_max, house.config.sessions.life_s_max);
    let step_s = idle_s - 1;
    for _ in 0..(life_s - 1) / step_s {
        house.shift.jump(Duration::from_secs(u64::from(step_s)));
        token = house.next(&token).await;
    }
    house.shift.jump(Duration::from_secs(u64::from(step_s)));
    assert_eq!(refused(house.refresh(&token).await), ended());
}

#[tokio::test]
async fn one_session_too_many_ends_the_one_that_was_used_the_longest_time_ago() {
    let house = House::open_with(|config| config.sessions.per_user_max = 2).await;
    house.register(EMAIL, PASSWORD).await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(house.session().await.refresh_token);
        house.shift.jump(Duration::from_secs(1));
    }
    assert_eq!(refused(house.refresh(&tokens[0]).await), ended());
    house.next(&tokens[1]).await;
    house.next(&tokens[2]).await;
}

#[tokio::test]
async fn a_session_outlives_the_process() {
    let house = open().await;
    let token = house.session().await.refresh_token;
    let house = house.open_again().await;
    house.next(&token).await;
}

#[tokio::test]
async fn what_is_no_refresh_token_is_told_so() {
    let house = open().await;
    let expected =
        said(&[("refresh_token", "must be a refresh token as SignIn or RefreshSession gave it")]);
    for text in ["", "secret", &"!".repeat(64)] {
        assert_eq!(violations(house.refresh(text).await), expected, "{text:?}");
        assert_eq!(violations(house.sign_out(text).await), expected, "{text:?}");
    }
}
