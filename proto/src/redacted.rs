//! Messages that carry a password, a token, a ticket or an e-mail address print nothing but their
//! names, so that no log line or panic can show what is in them.

use std::fmt;

use crate::{gateway::v1 as gateway, user::v1 as user};

macro_rules! redacted {
    ($($message:path),+ $(,)?) => {
        $(impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), " { [redacted] }"))
            }
        })+
    };
}

redacted!(
    user::RegisterRequest,
    user::SignInRequest,
    user::SignInResponse,
    user::RefreshSessionRequest,
    user::RefreshSessionResponse,
    user::SignOutRequest,
    user::IssueOperatorTokenResponse,
    user::RehearsalShopper,
    gateway::IssueTicketResponse,
    gateway::PurchaseRequest,
    gateway::GetOrderRequest,
    gateway::WatchOrderRequest,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_tickets_and_tokens_are_not_printed() {
        let sign_in = user::SignInRequest { email: "a@b.c".into(), password: "secret".into() };
        let purchase = gateway::PurchaseRequest { ticket: "secret".into(), attempt: 1 };
        let refresh = user::RefreshSessionRequest { refresh_token: "secret".into() };
        let printed = format!("{sign_in:?} {purchase:?} {refresh:?}");
        assert!(!printed.contains("secret") && !printed.contains("a@b.c"), "{printed}");
        assert!(printed.contains("SignInRequest"), "{printed}");
    }
}
