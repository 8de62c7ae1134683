//! Access tokens: JWTs signed with Ed25519 that say who someone is, for whom the token is meant and
//! until when. A buyer's token is never an operator's: the audience differs. Whoever checks them
//! (`chassis::token`) checks every claim that is written here.

use std::{fmt, time::Duration};

use chassis::Clock;
use ids::UserId;
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;

use crate::{domain::OperatorName, keys::SigningKey};

/// Whom buyers' tokens are for.
pub const BUYERS: &str = "seckill";
/// Whom operators' tokens are for.
pub const OPERATORS: &str = "seckill-operator";

/// Whose token it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holder<'a> {
    /// Has an account.
    Buyer(UserId),
    /// Has none; a gateway lets it in only where rehearsals are allowed.
    Rehearsal(UserId),
    Operator(&'a OperatorName),
}

/// A token: whoever has it is its holder. Prints as `[redacted]`.
pub struct Token(String);

impl Token {
    /// The text, for the answer to its holder only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

/// A token and its end.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) token: Token,
    /// Wall time, seconds since 1970.
    pub(crate) expires_at_s: u64,
}

/// The signature could not be made; the message never holds claims or keys.
#[derive(Debug, thiserror::Error)]
#[error("signing: {0}")]
pub struct SigningError(jsonwebtoken::errors::Error);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rehearsal: Option<bool>,
}

/// Makes tokens; shared by all cores. One signature takes about 50 µs.
pub(crate) struct Signer {
    key: SigningKey,
    header: Header,
    issuer: String,
    clock: Clock,
}

impl Signer {
    pub(crate) fn new(key: SigningKey, issuer: String, clock: Clock) -> Self {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.public.key_id.clone());
        Self { key, header, issuer, clock }
    }

    /// A token from now on, for so long.
    pub(crate) fn issue(
        &self,
        holder: Holder<'_>,
        lifetime: Duration,
    ) -> Result<Issued, SigningError> {
        let now_s = self.clock.wall_ms() / 1000;
        let expires_at_s = now_s.saturating_add(lifetime.as_secs());
        let (aud, sub, name, rehearsal) = match holder {
            Holder::Buyer(user) => (BUYERS, user.to_string(), None, None),
            Holder::Rehearsal(user) => (BUYERS, user.to_string(), None, Some(true)),
            Holder::Operator(name) => (OPERATORS, name.to_string(), Some(name.as_str()), None),
        };
        let claims = Claims {
            iss: &self.issuer,
            aud,
            sub: &sub,
            iat: now_s,
            nbf: now_s,
            exp: expires_at_s,
            jti: uuid::Uuid::new_v4().to_string(),
            name,
            rehearsal,
        };
        let token =
            jsonwebtoken::encode(&self.header, &claims, &self.key.private).map_err(SigningError)?;
        Ok(Issued { token: Token(token), expires_at_s })
    }
}

#[cfg(test)]
mod tests;
