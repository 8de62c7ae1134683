//! Holds answers against the document: a path that it has, a status that it names for it, a body
//! with the fields that it describes and no others.

use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::client::{Answer, Ask};
use crate::stage::Stage;

/// The same for every gateway.
static DOCUMENT: OnceCell<Value> = OnceCell::const_new();

async fn document(stage: &Stage) -> &'static Value {
    let fetch = async || Ask::get("/openapi.json").send_unchecked(stage).await.json();
    DOCUMENT.get_or_init(fetch).await
}

/// Whether the document describes this answer.
pub(super) async fn check(stage: &Stage, method: &str, path: &str, answer: &Answer) {
    let document = document(stage).await;
    let asked = format!("{method} {path}: {}", answer.status);
    let responses = &operation(document, method, path)["responses"];
    let response = &responses[answer.status.to_string()];
    assert!(response.is_object(), "the document doesn't name {asked} {answer:?}");
    if answer.status == 204 {
        return assert!(answer.body.is_empty() && response.get("content").is_none(), "{asked}");
    }
    let content = answer.header("content-type").unwrap_or_default();
    let schema = &response["content"][content]["schema"];
    assert!(schema.is_object(), "{asked} is {content}");
    if let Err(why) = fits(document, schema, &answer.json()) {
        panic!("{asked}: {why} {answer:?}");
    }
}

/// Whether the document describes the data of this event.
pub(super) async fn check_event(stage: &Stage, path: &str, data: &Value) {
    let document = document(stage).await;
    let response = &operation(document, "GET", path)["responses"]["200"];
    let schema = &response["content"]["text/event-stream"]["schema"];
    fits(document, schema, data).unwrap_or_else(|why| panic!("{path}: {why} {data}"));
}

fn operation<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    let path = path.split('?').next().unwrap();
    let is_asked = |known: &str| {
        let (known, path) = (known.split('/'), path.split('/'));
        known.clone().count() == path.clone().count()
            && known.zip(path).all(|(known, part)| known == part || known.starts_with('{'))
    };
    let paths = document["paths"].as_object().unwrap();
    let known = paths.iter().find(|(known, _)| is_asked(known));
    let (_, known) = known.unwrap_or_else(|| panic!("the document has no {path}"));
    &known[method.to_lowercase()]
}

/// Whether a value is as a schema wants it. Knows as much of JSON Schema as the document uses.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let known = [
        "$ref",
        "additionalProperties",
        "allOf",
        "description",
        "discriminator",
        "enum",
        "example",
        "format",
        "items",
        "maximum",
        "maxLength",
        "minimum",
        "minLength",
        "oneOf",
        "properties",
        "propertyNames",
        "required",
        "type",
    ];
    let words = schema.as_object().ok_or("no schema")?;
    if let Some(word) = words.keys().find(|word| !known.contains(&word.as_str())) {
        return Err(format!("`{word}` isn't known here"));
    }
    if let Some(place) = schema["$ref"].as_str() {
        let place = place.strip_prefix('#').and_then(|place| document.pointer(place));
        return fits(document, place.ok_or("a reference to nothing")?, value);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let tries = choices.iter().map(|choice| fits(document, choice, value));
        let (good, bad): (Vec<_>, Vec<_>) = tries.partition(Result::is_ok);
        return if good.len() == 1 { Ok(()) } else { Err(format!("{} of {bad:?}", good.len())) };
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        return Err(format!("{value} is none of {choices:?}"));
    }
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(fields)) => object(document, schema, fields),
        (Some("array"), Value::Array(values)) => {
            values.iter().try_for_each(|value| fits(document, &schema["items"], value))
        }
        (Some("string"), Value::String(text)) => string(schema, text),
        (Some("integer"), Value::Number(number)) => {
            let number = number.as_i64().ok_or("not whole")?;
            let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
            let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
            if (least..=most).contains(&number) { Ok(()) } else { Err(format!("{number}")) }
        }
        (wanted, value) => Err(format!("{value} is no {wanted:?}")),
    }
}

fn object(document: &Value, schema: &Value, fields: &Map<String, Value>) -> Result<(), String> {
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, value) in fields {
        let others = &schema["additionalProperties"];
        let property = match &schema["properties"][name] {
            Value::Null if others.is_object() => others,
            Value::Null => return Err(format!("{name} isn't described")),
            property => property,
        };
        fits(document, property, value).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

fn string(schema: &Value, text: &str) -> Result<(), String> {
    let is_good = match schema["format"].as_str() {
        None => true,
        Some("uuid") => text.parse::<ids::UserId>().is_ok(),
        Some("date-time") => text.parse::<prost_types::Timestamp>().is_ok() && text.ends_with('Z'),
        Some(format) => return Err(format!("the format {format} isn't known here")),
    };
    if is_good { Ok(()) } else { Err(format!("{text:?} isn't {schema}")) }
}
