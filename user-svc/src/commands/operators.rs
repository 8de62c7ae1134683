//! Operators: they prove who they are with a token of their own audience, make tokens for others,
//! and take tokens back. No token is worth more than the one it was made with: it has no other
//! rights, ends no later, and falls with it. What is made and revoked is written down before it is
//! handed out, and logged with the operator's name.

use std::sync::Arc;

use chassis::{
    Clock,
    token::{Claims, Revocations, Verifier},
};

use super::{NotDone, Refusal, Rehearsal};
use crate::{
    domain::{
        Deed, OperatorEvent, OperatorGrant, OperatorName, Revocation, Right, Rights, Violation,
        Whose,
    },
    registry::{Registry, Revoked},
    tokens::{Holder, Issued, Life, Signer},
};

/// How many other operators may stand between a token and the first one: their names are in it.
const MAKERS_MAX: usize = 4;

/// Somebody whose operator's token was checked; made by [`Operators::authenticate`] only.
#[derive(Debug)]
pub(crate) struct Operator {
    name: OperatorName,
    /// Of the token that was shown.
    token: String,
    rights: Rights,
    makers: Vec<OperatorName>,
    /// Wall times, seconds since 1970: of the token's end, and of the check.
    expires_at_s: u64,
    checked_at_s: u64,
    /// What was revoked by then.
    revoked: Revocations,
}

/// A token for an operator.
#[derive(Debug)]
pub(crate) struct OperatorToken {
    pub(crate) issued: Issued,
    /// It ends with its maker's, before its time.
    pub(crate) is_shortened: bool,
}

/// Commands of operators.
pub(crate) struct Operators {
    pub(crate) signer: Arc<Signer>,
    /// Of the operators' audience.
    pub(crate) verifier: Verifier,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) clock: Clock,
    pub(crate) rehearsal: Rehearsal,
}

impl Operator {
    pub(crate) fn name(&self) -> &OperatorName {
        &self.name
    }

    fn of(claims: Claims, checked_at_s: u64, revoked: Revocations) -> Option<Self> {
        let name = |text: &str| OperatorName::parse(text).ok();
        Some(Self {
            name: name(&claims.subject)?,
            token: claims.id.unwrap_or_default(),
            rights: Rights::named(claims.scopes.iter().map(String::as_str)),
            makers: claims.makers.iter().map(|text| name(text)).collect::<Option<_>>()?,
            expires_at_s: claims.expires_at_s,
            checked_at_s,
            revoked,
        })
    }

    fn did(&self, deed: Deed, at_ms: u64) -> OperatorEvent {
        OperatorEvent { at_ms, by: self.name.clone(), by_token: self.token.clone(), deed }
    }

    /// Whose tokens the next one comes from.
    fn makers_of_next(&self) -> Vec<OperatorName> {
        let mut makers = self.makers.clone();
        if !makers.contains(&self.name) {
            makers.push(self.name.clone());
        }
        makers
    }
}

impl Operators {
    /// Who this is, by the token that was sent, if it has the right that is needed.
    pub(crate) async fn authenticate(
        &self,
        token: Option<&str>,
        needs: Right,
    ) -> Result<Operator, NotDone> {
        // Before revocations are read: what is made from now on is void by any that comes later.
        let checked_at_s = self.clock.wall_ms() / 1_000;
        let claims = token.and_then(|token| self.verifier.verify(token).ok());
        let claims = claims.ok_or(Refusal::NotAnOperator)?;
        let revoked = self.revoked().await?;
        if revoked.void(&claims) {
            return Err(Refusal::NotAnOperator.into());
        }
        let operator = Operator::of(claims, checked_at_s, revoked);
        let operator = operator.ok_or(Refusal::NotAnOperator)?;
        if operator.rights.contains(needs) {
            Ok(operator)
        } else {
            Err(Refusal::Lacks(needs).into())
        }
    }

    /// A token for another operator.
    pub(crate) async fn issue(
        &self,
        by: &Operator,
        grant: &OperatorGrant,
    ) -> Result<OperatorToken, NotDone> {
        if let Some(right) = grant.rights.beyond(&by.rights) {
            return Err(Refusal::Lacks(right).into());
        }
        let makers = by.makers_of_next();
        if makers.len() >= MAKERS_MAX && grant.rights.contains(Right::MakeOperators) {
            let says = format!(
                "can't name MAKE_OPERATORS: {MAKERS_MAX} operators stand between this token and \
                 the first one"
            );
            return Err(vec![Violation { field: "rights", description: says }].into());
        }
        let line = makers.iter().chain([&grant.name]).map(OperatorName::as_str);
        // A name may have been revoked in this very second.
        let from_s = by.checked_at_s.max(by.revoked.made_before_s(line));
        let wanted_until_s = from_s.saturating_add(grant.lifetime.as_secs());
        let until_s = wanted_until_s.min(by.expires_at_s);
        if until_s <= from_s {
            return Err(Refusal::NotAnOperator.into());
        }
        let holder = Holder::Operator { name: &grant.name, rights: &grant.rights, makers: &makers };
        let issued = self.signer.issue_for(holder, Life { from_s, until_s })?;
        let deed = Deed::Issued {
            to: grant.name.clone(),
            token: issued.id.clone(),
            rights: grant.rights.clone(),
            expires_at_s: until_s,
        };
        self.registry.note(&by.did(deed, self.clock.wall_ms())).await?;
        tracing::info!(
            operator = %by.name,
            granted_to = %grant.name,
            rights = %grant.rights,
            lifetime_s = until_s - from_s,
            token_id = issued.id,
            "operator issued an operator token"
        );
        Ok(OperatorToken { issued, is_shortened: until_s < wanted_until_s })
    }

    /// Makes tokens void that were made before a moment (seconds since 1970), or until now; says
    /// which moment counts.
    pub(crate) async fn revoke(
        &self,
        by: &Operator,
        whose: Whose,
        issued_before_s: Option<u64>,
    ) -> Result<u64, NotDone> {
        let now_ms = self.clock.wall_ms();
        // This second is over a second later: no token of it is spared.
        let until_now_s = now_ms / 1_000 + 1;
        let issued_before_s = issued_before_s.unwrap_or(until_now_s);
        if issued_before_s > until_now_s {
            let description = "must not be in the future".to_owned();
            return Err(vec![Violation { field: "issued_before", description }].into());
        }
        let revocation = Revocation { whose, issued_before_s };
        let event = by.did(Deed::Revoked(revocation.clone()), now_ms);
        match self.registry.revoke(&revocation, &event).await? {
            Revoked::TooMany => Err(Refusal::TooManyRevoked.into()),
            Revoked::Before(before_s) => {
                let whose = match &revocation.whose {
                    Whose::Operator(name) => name.as_str(),
                    Whose::Everyone => "everyone",
                };
                tracing::info!(operator = %by.name, whose, before_s, "operator revoked tokens");
                Ok(before_s)
            }
        }
    }

    /// All revocations that can still concern a token.
    pub(crate) async fn revocations(&self) -> Result<Vec<Revocation>, NotDone> {
        Ok(self.registry.revocations().await?)
    }

    /// Events, the newest first, from before that number on.
    pub(crate) async fn events(
        &self,
        before: Option<i64>,
        count_max: u32,
    ) -> Result<Vec<(i64, OperatorEvent)>, NotDone> {
        Ok(self.registry.events(before, count_max).await?)
    }

    async fn revoked(&self) -> Result<Revocations, NotDone> {
        let mut revoked = Revocations::default();
        for Revocation { whose, issued_before_s } in self.registry.revocations().await? {
            match whose {
                Whose::Operator(name) => revoked.of(name.to_string(), issued_before_s),
                Whose::Everyone => revoked.of_everybody(issued_before_s),
            }
        }
        Ok(revoked)
    }
}
