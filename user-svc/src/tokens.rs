//! Access tokens: JWTs signed with Ed25519 that say who someone is, for whom the token is meant and
//! until when. A buyer's token is never an operator's: the audience differs. Whoever checks them
//! (`chassis::token`) checks every claim that is written here.

use std::{fmt, time::Duration};

use chassis::Clock;
use ids::UserId;
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;

use crate::{
    domain::{OperatorName, Rights},
    keys::SigningKey,
};

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
    Operator {
        name: &'a OperatorName,
        rights: &'a Rights,
        /// Whose tokens it comes from, the nearest last: it falls with any of them.
        makers: &'a [OperatorName],
    },
}

/// When a token holds: wall times, seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) from_s: u64,
    pub(crate) until_s: u64,
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
    /// Names the token where it may not stand itself.
    pub(crate) id: String,
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
    sub: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    makers: Vec<&'a str>,
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
        let from_s = self.clock.wall_ms() / 1000;
        let until_s = from_s.saturating_add(lifetime.as_secs());
        self.issue_for(holder, Life { from_s, until_s })
    }

    /// A token for a life that is known.
    pub(crate) fn issue_for(
        &self,
        holder: Holder<'_>,
        Life { from_s, until_s }: Life,
    ) -> Result<Issued, SigningError> {
        let id = uuid::Uuid::new_v4().to_string();
        let plain = Claims {
            iss: &self.issuer,
            aud: BUYERS,
            sub: String::new(),
            iat: from_s,
            nbf: from_s,
            exp: until_s,
            jti: &id,
            scope: None,
            makers: Vec::new(),
            name: None,
            rehearsal: None,
        };
        let claims = match holder {
            Holder::Buyer(user) => Claims { sub: user.to_string(), ..plain },
            Holder::Rehearsal(user) => {
                Claims { sub: user.to_string(), rehearsal: Some(true), ..plain }
            }
            Holder::Operator { name, rights, makers } => Claims {
                aud: OPERATORS,
                sub: name.to_string(),
                scope: Some(rights.to_string()),
                makers: makers.iter().map(OperatorName::as_str).collect(),
                name: Some(name.as_str()),
                ..plain
            },
        };
        let token =
            jsonwebtoken::encode(&self.header, &claims, &self.key.private).map_err(SigningError)?;
        Ok(Issued { token: Token(token), id, expires_at_s: until_s })
    }
}

#[cfg(test)]
mod tests;
