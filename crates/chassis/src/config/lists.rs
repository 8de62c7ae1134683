//! Lists in variables: their values, separated by commas. Which keys are lists, the layers below
//! say, or a text with a comma in it would be taken for one.

use std::collections::HashSet;

use config::{ConfigError, Map, Source, Value, ValueKind};

/// The keys of `layer` whose values are lists, as `part.key`.
pub(super) fn keys(layer: &Value) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut ahead = vec![(String::new(), layer)];
    while let Some((path, value)) = ahead.pop() {
        match &value.kind {
            ValueKind::Array(_) => {
                found.insert(path);
            }
            ValueKind::Table(inner) => ahead.extend(inner.iter().map(|(key, value)| {
                (if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value)
            })),
            _ => {}
        }
    }
    found
}

/// Variables, of which some are lists.
#[derive(Clone, Debug)]
pub(super) struct WithLists<S> {
    pub(super) variables: S,
    pub(super) lists: HashSet<String>,
}

impl<S> Source for WithLists<S>
where
    S: Source + Clone + Send + Sync + 'static,
{
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut values = self.variables.collect()?;
        for (key, value) in &mut values {
            if let ValueKind::String(text) = &value.kind
                && self.lists.contains(key)
            {
                let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                value.kind = ValueKind::Array(entries.map(Value::from).collect());
            }
        }
        Ok(values)
    }
}
