//! Verification of access tokens: JWTs signed with Ed25519 (`alg` EdDSA), and nothing else.
//!
//! A token counts only if its signature is by a key we know, every claim (`iss`, `aud`, `sub`,
//! `exp`, `nbf`, `iat`) is there and right by our own clock, and it wasn't revoked. A bad one that
//! comes again is refused without another look. Who issues tokens, and what a scope allows, is not
//! known here.

mod bad;
mod revocations;

pub use revocations::Revocations;

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use tonic::metadata::MetadataMap;

use crate::clock::Clock;
use crate::token::bad::BadTokens;

/// Longer ones are refused unread: ours have about 400 bytes.
const TOKEN_BYTES_MAX: usize = 4096;

/// How far clocks of two machines may be apart, in seconds.
const LEEWAY_S: u64 = 2;

/// The token in a call's `authorization`. `None` if it has none, or of another scheme than Bearer
/// (whose case doesn't matter, RFC 7235).
pub fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let (scheme, token) = metadata.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whom it is about (`sub`).
    pub subject: String,
    /// A name for people, where the issuer gives one: operators have it.
    pub name: Option<String>,
    /// Made for a rehearsal, and good for nothing else.
    pub rehearsal: bool,
    /// The token's own id (`jti`).
    pub id: Option<String>,
    /// What it allows (`scope`, RFC 8693: words with spaces between); nothing, if it doesn't say.
    pub scopes: Vec<String>,
    /// Whose token it was made with, and whose that one was (`makers`), the nearest last.
    pub makers: Vec<String>,
    /// When it was made, in seconds since 1970 (`iat`).
    pub issued_at_s: u64,
    /// End of its life, in seconds since 1970 (`exp`).
    pub expires_at_s: u64,
}

/// Why a token does not count. The texts are safe to show: they hold nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT that we can read: its shape, a claim of another type, or too long for one of ours.
    #[error("the token is malformed")]
    Malformed,
    /// Any other algorithm than EdDSA, or a header that asks for more than we do.
    #[error("the token is not signed as required")]
    Algorithm,
    /// The key isn't among ours: perhaps it is new, and fetching keys again helps.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// The signature is not by the named key over this content.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim isn't there.
    #[error("the token lacks the claim {0}")]
    Claim(&'static str),
    /// Made by another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// Made for another audience.
    #[error("the token is for another audience")]
    Audience,
    /// Its life is over.
    #[error("the token has expired")]
    Expired,
    /// Its life hasn't begun.
    #[error("the token is not valid yet")]
    NotYet,
    /// It was taken back.
    #[error("the token was revoked")]
    Revoked,
}

/// Verifies tokens of one issuer for one audience.
pub struct Verifier {
    issuer: String,
    audience: String,
    clock: Clock,
    keys: RwLock<HashMap<String, DecodingKey>>,
    bad: BadTokens,
    revoked: RwLock<Revocations>,
    validation: Validation,
}

impl Verifier {
    /// A verifier that knows no key yet, and so refuses everything.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, clock: Clock) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The signature alone is left to the library: its own checks of claims ask the system's
        // clock, and let pass what is absent.
        validation.required_spec_claims = HashSet::new();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            clock,
            keys: RwLock::default(),
            bad: BadTokens::new(),
            revoked: RwLock::default(),
            validation,
        }
    }

    /// Replaces all keys: pairs of a key id and the 32 bytes of an Ed25519 public key.
    pub fn set_keys(&self, keys: Vec<(String, [u8; 32])>) {
        let keys = keys.into_iter().map(|(id, key)| (id, DecodingKey::from_ed_der(&key))).collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        self.bad.forget();
    }

    /// Adds what was revoked. What was known before stays: nobody takes a revocation back, and who
    /// tells of fewer has forgotten some.
    pub fn revoke(&self, told: Revocations) {
        self.revoked.write().unwrap_or_else(PoisonError::into_inner).merge(told);
    }

    /// The claims of a token, if it counts now. Takes about 50 us: cache the answer, bounded, and
    /// no longer than until `expires_at_s`. A bad one takes as long: charge it to whoever shows it.
    ///
    /// # Errors
    /// [`TokenError::UnknownKey`] may be cured by new keys; the others are final.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let now = self.clock.now();
        if let Some(error) = self.bad.recall(token, now) {
            return Err(error);
        }
        let kid = signed_by(token)?;
        let claims = self.signed_claims(token, &kid).and_then(|claims| self.check(claims));
        match claims {
            // These may be cured by new keys, or by time.
            Err(TokenError::UnknownKey | TokenError::NotYet) | Ok(_) => {}
            Err(error) => self.bad.remember(token, error, now),
        }
        claims
    }

    fn signed_claims(&self, token: &str, kid: &str) -> Result<RawClaims, TokenError> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.get(kid).ok_or(TokenError::UnknownKey)?;
        jsonwebtoken::decode::<RawClaims>(token, key, &self.validation)
            .map(|token| token.claims)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => TokenError::Signature,
                _ => TokenError::Malformed,
            })
    }

    fn check(&self, claims: RawClaims) -> Result<Claims, TokenError> {
        let now_s = self.clock.wall_ms() / 1000;
        if claims.iss.ok_or(TokenError::Claim("iss"))? != self.issuer {
            return Err(TokenError::Issuer);
        }
        if claims.aud.ok_or(TokenError::Claim("aud"))? != self.audience {
            return Err(TokenError::Audience);
        }
        let subject = claims.sub.filter(|sub| !sub.is_empty()).ok_or(TokenError::Claim("sub"))?;
        let expires_at_s = claims.exp.ok_or(TokenError::Claim("exp"))?;
        let not_before_s = claims.nbf.ok_or(TokenError::Claim("nbf"))?;
        let issued_at_s = claims.iat.ok_or(TokenError::Claim("iat"))?;
        if now_s >= expires_at_s.saturating_add(LEEWAY_S) {
            return Err(TokenError::Expired);
        }
        if now_s.saturating_add(LEEWAY_S) < not_before_s.max(issued_at_s) {
            return Err(TokenError::NotYet);
        }
        let claims = Claims {
            subject,
            name: claims.name,
            rehearsal: claims.rehearsal,
            id: claims.jti,
            scopes: claims
                .scope
                .unwrap_or_default()
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect(),
            makers: claims.makers,
            issued_at_s,
            expires_at_s,
        };
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        if revoked.void(&claims) { Err(TokenError::Revoked) } else { Ok(claims) }
    }
}

/// The id of the key that a token says to be signed with, if it may be one of ours.
fn signed_by(token: &str) -> Result<String, TokenError> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
    if header.alg != Algorithm::EdDSA || header.crit.is_some() {
        return Err(TokenError::Algorithm);
    }
    header.kid.ok_or(TokenError::Malformed)
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { issuer, audience, .. } = self;
        f.debug_struct("Verifier")
            .field("issuer", issuer)
            .field("audience", audience)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
struct RawClaims {
    iss: Option<String>,
    aud: Option<String>,
    sub: Option<String>,
    exp: Option<u64>,
    nbf: Option<u64>,
    iat: Option<u64>,
    jti: Option<String>,
    scope: Option<String>,
    #[serde(default)]
    makers: Vec<String>,
    name: Option<String>,
    #[serde(default)]
    rehearsal: bool,
}

#[cfg(test)]
mod tests;
