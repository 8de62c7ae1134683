//! Which pages of other origins may call: those that the configuration names, and none by default.
//! No cookies are used, so none are allowed; a page shows its token in `authorization`.

use std::time::Duration;

use chassis::config::ConfigError;
use http::{
    HeaderName, HeaderValue, Method, Uri,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER},
};
use tower_http::cors::CorsLayer;

use super::http::call::TICKET;
use crate::config::CorsSettings;

/// What a page may send: what JSON, gRPC-web and streams of events need, and what the usual
/// libraries add of their own accord.
const ALLOWED: [HeaderName; 13] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_TYPE,
    TICKET,
    HeaderName::from_static("baggage"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-requested-with"),
    HeaderName::from_static("x-grpc-web"),
    HeaderName::from_static("x-user-agent"),
];

/// What a page may read of an answer's head: gRPC-web's status may be there, too.
const EXPOSED: [HeaderName; 6] = [
    DATE,
    LOCATION,
    RETRY_AFTER,
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
];

/// `None` if no page of another origin may call. The settings must have been checked.
pub(crate) fn layer(settings: &CorsSettings) -> Option<CorsLayer> {
    if settings.allowed_origins.is_empty() {
        return None;
    }
    let origins = settings.allowed_origins.iter();
    let origins = origins.filter_map(|origin| HeaderValue::from_str(origin).ok());
    let layer = CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(ALLOWED)
        .expose_headers(EXPOSED)
        .max_age(Duration::from_secs(settings.max_age_s.into()));
    Some(layer)
}

/// Checks that each origin is one as browsers write it: what differs would never match.
///
/// # Errors
/// The first that isn't, in one sentence.
pub(crate) fn check(settings: &CorsSettings) -> Result<(), ConfigError> {
    for origin in &settings.allowed_origins {
        if let Some(says) = fault(origin) {
            let sentence = format!("cors.allowed_origins: {origin:?} {says}");
            return Err(ConfigError::new(sentence));
        }
    }
    Ok(())
}

fn fault(origin: &str) -> Option<&'static str> {
    if origin == "*" {
        return Some("would let every page call: name each origin");
    }
    if origin.ends_with('/') {
        return Some("must have no path, not even the last slash");
    }
    let uri: Uri = match origin.parse() {
        Ok(uri) => uri,
        Err(_) => return Some("is no origin such as https://shop.example"),
    };
    let default_port = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        Some(_) | None => return Some("must begin with https:// or http://"),
    };
    if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") {
        return Some("must have no path");
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Some("must have no user");
    }
    if uri.port_u16() == Some(default_port) {
        return Some("must not name the port that its scheme has anyway: browsers leave it out");
    }
    if origin.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("must be in lower case, as browsers write it");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        for good in ["https://shop.example", "http://127.0.0.1:3000", "https://[::1]:8443"] {
            assert_eq!(fault(good), None, "{good}");
        }
        let table = [
            ("*", "would let"),
            ("https://shop.example/", "must have no path"),
            ("https://shop.example/a", "must have no path"),
            ("https://shop.example?a", "must have no path"),
            ("shop.example", "must begin with"),
            ("ftp://shop.example", "must begin with"),
            ("null", "must begin with"),
            ("", "is no origin"),
            ("https://a b", "is no origin"),
            ("https://me@shop.example", "must have no user"),
            ("https://shop.example:443", "must not name the port"),
            ("http://shop.example:80", "must not name the port"),
            ("https://Shop.example", "must be in lower case"),
        ];
        for (bad, says) in table {
            let fault = fault(bad).unwrap_or_else(|| panic!("{bad} is taken for good"));
            assert!(fault.starts_with(says), "{bad}: {fault}");
        }
    }

    #[test]
    fn a_bad_origin_is_named_and_none_is_needed() {
        let settings = |origins: &[&str]| CorsSettings {
            allowed_origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            max_age_s: 60,
        };
        let bad = check(&settings(&["https://a.example", "https://b.example/"])).unwrap_err();
        let expected = "cors.allowed_origins: \"https://b.example/\" must have no path";
        assert!(bad.to_string().starts_with(expected), "{bad}");
        check(&settings(&[])).unwrap();
        assert!(layer(&settings(&[])).is_none());
    }
}
