//! Refusals as gRPC statuses with `google.rpc` details, written and read in one place.
//!
//! Each carries an ErrorInfo (reason and domain: what programs read), and where it fits RetryInfo,
//! BadRequest and QuotaFailure. Which reason means what is not known here.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, QuotaViolation, StatusExt};

/// A refusal on its way to become a [`Status`].
#[derive(Clone, Debug)]
#[must_use = "a refusal that isn't sent refuses nothing"]
pub struct Refusal {
    code: Code,
    reason: &'static str,
    domain: &'static str,
    message: String,
    metadata: HashMap<String, String>,
    retry_after: Option<Duration>,
    fields: Vec<FieldViolation>,
    quotas: Vec<QuotaViolation>,
    is_unable: bool,
}

impl Refusal {
    /// `reason` and `domain` are for programs (ErrorInfo), `message` for people.
    pub fn new(
        code: Code,
        reason: &'static str,
        domain: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            reason,
            domain,
            message: message.into(),
            metadata: HashMap::new(),
            retry_after: None,
            fields: Vec::new(),
            quotas: Vec::new(),
            is_unable: false,
        }
    }

    /// Why, as programs read it.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// Adds a pair to the metadata of ErrorInfo.
    pub fn meta(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Adds RetryInfo: the client shall wait so long.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Adds a field of the request that is wrong, and why, to BadRequest.
    pub fn field(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.fields.push(FieldViolation::new(field, description));
        self
    }

    /// Adds a limit that was reached, and whose, to QuotaFailure.
    pub fn quota(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.quotas.push(QuotaViolation::new(subject, description));
        self
    }

    /// It is this instance that can't, while another may: see [`crate::channel::unable`].
    pub fn of_this_instance(mut self) -> Self {
        self.is_unable = true;
        self
    }

    /// The status, with all details.
    pub fn into_status(self) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(self.reason, self.domain, self.metadata);
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        if !self.fields.is_empty() {
            details.set_bad_request(self.fields);
        }
        if !self.quotas.is_empty() {
            details.set_quota_failure(self.quotas);
        }
        let mut status = Status::with_error_details(self.code, self.message, details);
        if self.is_unable {
            crate::channel::unable(status.metadata_mut());
        }
        status
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        refusal.into_status()
    }
}

/// The reason in a status's ErrorInfo, if it has one.
pub fn reason_of(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// A value of the metadata in a status's ErrorInfo.
pub fn meta_of(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info().and_then(|mut info| info.metadata.remove(key))
}

/// The wait that a status's RetryInfo asks for.
pub fn retry_after_of(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_read_back_as_written() {
        let status = Refusal::new(Code::Unavailable, "LOADING", "bakery.test", "bread is rising")
            .meta("oven", "2")
            .retry_after(Duration::from_millis(1500))
            .field("loaf.weight_g", "must be above 0")
            .quota("baker:7", "ten loaves an hour")
            .into_status();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "bread is rising");
        assert_eq!(reason_of(&status).as_deref(), Some("LOADING"));
        assert_eq!(meta_of(&status, "oven").as_deref(), Some("2"));
        assert_eq!(retry_after_of(&status), Some(Duration::from_millis(1500)));
        let details = status.get_error_details();
        let field = &details.bad_request().expect("a field was named").field_violations[0];
        assert_eq!(
            (field.field.as_str(), field.description.as_str()),
            ("loaf.weight_g", "must be above 0")
        );
        let quota = &details.quota_failure().expect("a quota was named").violations[0];
        assert_eq!(quota.subject, "baker:7");
    }

    #[test]
    fn plain_status_has_no_reason() {
        let status = Status::unavailable("no details");
        assert_eq!((reason_of(&status), retry_after_of(&status)), (None, None));
    }

    #[test]
    fn only_what_was_said_is_sent() {
        let status =
            Refusal::new(Code::NotFound, "NOT_FOUND", "bakery.test", "no bread").into_status();
        let details = status.get_error_details();
        assert!(details.retry_info().is_none());
        assert!(details.bad_request().is_none());
        assert!(details.quota_failure().is_none());
    }
}
