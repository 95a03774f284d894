//! What a setting is: its name, what it takes, and where in [`NodeConfig`] it is kept.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::config::NodeConfig;

/// Every environment variable of the program begins so.
pub const PREFIX: &str = "TASK_SCHEDULER_";

/// One setting of a node. Its three names follow from the first: flag `--claim-lead-ms`, environment
/// `TASK_SCHEDULER_CLAIM_LEAD_MS`, file `claim_lead_ms`.
#[derive(Debug)]
pub struct Setting {
    /// The flag, without its dashes. The unit comes last.
    pub flag: &'static str,
    /// What stands for its value in `--help`.
    pub placeholder: &'static str,
    /// The heading it is listed under.
    pub heading: &'static str,
    /// What it does, in a sentence without a full stop.
    pub about: &'static str,
    /// The default in words, where its value depends on the machine.
    pub default_words: Option<&'static str>,
    /// Its type.
    pub field: Field,
}

/// The type of a setting, with what is allowed and where it is kept.
#[derive(Debug)]
pub enum Field {
    /// A text with a form of its own.
    Text {
        /// What is allowed, as a phrase.
        allowed: &'static str,
        /// Keeps it; `false` if it is not allowed.
        put: fn(&mut NodeConfig, &str) -> bool,
        /// Reads it back.
        get: fn(&NodeConfig) -> String,
    },
    /// An integer.
    Number {
        /// What is allowed.
        range: RangeInclusive<u64>,
        /// Keeps it.
        put: fn(&mut NodeConfig, u64),
        /// Reads it back.
        get: fn(&NodeConfig) -> u64,
    },
    /// On or off.
    Switch {
        /// Keeps it.
        put: fn(&mut NodeConfig, bool),
        /// Reads it back.
        get: fn(&NodeConfig) -> bool,
    },
    /// Any number of texts.
    List {
        /// What is allowed for each, as a phrase.
        allowed: &'static str,
        /// Keeps them; the first that is not allowed otherwise.
        put: fn(&mut NodeConfig, &[String]) -> Result<(), String>,
        /// Reads them back.
        get: fn(&NodeConfig) -> Vec<String>,
    },
}

/// A value that a setting does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAllowed {
    /// The value.
    pub value: String,
    /// What is allowed instead, as a phrase.
    pub allowed: String,
}

impl Setting {
    /// Its name in the file and in messages.
    pub fn key(&self) -> String {
        self.flag.replace('-', "_")
    }

    /// Its name in the environment.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key().to_ascii_uppercase())
    }

    /// The unit of its value, if it has one.
    pub fn unit(&self) -> &'static str {
        match self.placeholder {
            "MS" => "ms",
            "BYTES" => "bytes",
            "H" => "h",
            _ => "",
        }
    }

    /// Reads `values` (one, or for a list any number) and keeps them in `config`.
    ///
    /// # Errors
    /// One that is not allowed; `config` is as before.
    pub fn put(&self, config: &mut NodeConfig, values: &[String]) -> Result<(), NotAllowed> {
        let text = values.last().map_or("", |value| value.trim());
        let refused = || NotAllowed { value: text.to_owned(), allowed: self.allowed() };
        match &self.field {
            Field::Text { put, .. } => put(config, text).then_some(()).ok_or_else(refused),
            Field::Number { range, put, .. } => {
                let number = text.parse().ok().filter(|n| range.contains(n)).ok_or_else(refused)?;
                put(config, number);
                Ok(())
            }
            Field::Switch { put, .. } => {
                let on = match text {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(refused()),
                };
                put(config, on);
                Ok(())
            }
            Field::List { put, .. } => {
                let items: Vec<String> = values
                    .iter()
                    .flat_map(|value| value.split(','))
                    .map(|item| item.trim().to_owned())
                    .filter(|item| !item.is_empty())
                    .collect();
                put(config, &items).map_err(|value| NotAllowed { value, allowed: self.allowed() })
            }
        }
    }

    /// Its value, as JSON.
    pub fn get(&self, config: &NodeConfig) -> Value {
        match &self.field {
            Field::Text { get, .. } => get(config).into(),
            Field::Number { get, .. } => get(config).into(),
            Field::Switch { get, .. } => get(config).into(),
            Field::List { get, .. } => get(config).into(),
        }
    }

    /// Its value for people.
    pub fn shown(&self, config: &NodeConfig) -> String {
        match &self.field {
            Field::Text { get, .. } => get(config),
            Field::Number { get, .. } => get(config).to_string(),
            Field::Switch { get, .. } => get(config).to_string(),
            Field::List { get, .. } => {
                let items = get(config);
                if items.is_empty() { "none".to_owned() } else { items.join(",") }
            }
        }
    }

    /// What is allowed, as a phrase.
    pub fn allowed(&self) -> String {
        match &self.field {
            Field::Text { allowed, .. } | Field::List { allowed, .. } => (*allowed).to_owned(),
            Field::Number { range, .. } => {
                let unit = self.unit();
                let space = if unit.is_empty() { "" } else { " " };
                format!("an integer from {} to {}{space}{unit}", range.start(), range.end())
            }
            Field::Switch { .. } => "true or false".to_owned(),
        }
    }
}
