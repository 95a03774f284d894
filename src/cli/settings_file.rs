//! The settings file: TOML, every setting a key at the top.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::exit::quoted;
use super::setting::{Field, Setting};
use super::setting_list::SETTINGS;

/// A file that was read.
#[derive(Debug)]
pub struct SettingsFile {
    /// Where it is.
    pub path: PathBuf,
    table: Table,
}

impl SettingsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// One line: it cannot be read, or is no TOML.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|cause| {
            format!("the settings file {shown} cannot be read ({cause}); name another with --config, or leave it out")
        })?;
        Self::parse(path, &text)
    }

    /// Reads its text.
    ///
    /// # Errors
    /// It is no TOML: with the line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let table = text.parse::<Table>().map_err(|cause| {
            let before = cause.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("the settings file {} is no TOML at line {line}: {}", path.display(), cause.message())
        })?;
        Ok(Self { path: path.to_owned(), table })
    }

    /// What is wrong with the keys it has: one line for each that no setting goes by.
    pub fn unknown_keys(&self) -> Vec<String> {
        let known: Vec<String> = SETTINGS.iter().map(Setting::key).collect();
        self.table
            .keys()
            .filter(|key| !known.contains(key))
            .map(|key| {
                let meant = known.iter().find(|known| key.replace('-', "_").eq_ignore_ascii_case(known));
                let advice = match meant {
                    Some(meant) => format!("write {meant}"),
                    None => "remove it, or see `task-scheduler node --help` for all settings".to_owned(),
                };
                format!("{} in the settings file {} is no setting; {advice}", quoted(key), self.path.display())
            })
            .collect()
    }

    /// The texts of a setting, if the file has it.
    ///
    /// # Errors
    /// Its TOML type is another than the setting's: the value as it is written.
    pub fn values(&self, setting: &Setting) -> Option<Result<Vec<String>, String>> {
        let value = self.table.get(&setting.key())?;
        Some(texts(&setting.field, value).ok_or_else(|| value.to_string()))
    }
}

fn texts(field: &Field, value: &Value) -> Option<Vec<String>> {
    match (field, value) {
        (Field::List { .. }, Value::Array(items)) => items.iter().map(item).collect(),
        (Field::List { .. }, single) => item(single).map(|text| vec![text]),
        (Field::Text { .. }, Value::String(text)) => Some(vec![text.clone()]),
        (Field::Number { .. }, Value::Integer(number)) => Some(vec![number.to_string()]),
        (Field::Switch { .. }, Value::Boolean(on)) => Some(vec![on.to_string()]),
        _ => None,
    }
}

fn item(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SettingsFile {
        SettingsFile::parse(Path::new("node.toml"), text).unwrap()
    }

    fn values(text: &str, flag: &str) -> Option<Result<Vec<String>, String>> {
        file(text).values(SETTINGS.iter().find(|setting| setting.flag == flag).unwrap())
    }

    #[test]
    fn each_type_is_read_as_itself() {
        assert_eq!(values("slots = 4", "slots"), Some(Ok(vec!["4".to_owned()])));
        assert_eq!(values("slots = \"4\"", "slots"), Some(Err("\"4\"".to_owned())));
        assert_eq!(
            values("http_ambiguous_status = [502, 504]", "http-ambiguous-status").unwrap().unwrap(),
            ["502", "504"]
        );
        assert_eq!(values("allow_unauthenticated = true", "allow-unauthenticated").unwrap().unwrap(), ["true"]);
        assert_eq!(values("slots = 4", "name"), None);
    }

    #[test]
    fn unknown_keys_are_named_and_a_near_one_is_offered() {
        let wrong = file("slotz = 4\nclaim-buffer = 3000\n[node]\nname = 'x'\n").unknown_keys();
        assert_eq!(wrong.len(), 3);
        assert!(wrong.iter().any(|line| line.contains("\"claim-buffer\"") && line.ends_with("write claim_buffer")));
        assert!(wrong.iter().any(|line| line.contains("\"slotz\"") && line.contains("node.toml")));
    }

    #[test]
    fn broken_toml_is_refused_with_its_line() {
        let refused = SettingsFile::parse(Path::new("node.toml"), "slots = 4\nname = \n").unwrap_err();
        assert!(refused.contains("node.toml") && refused.contains("line 2"), "{refused}");
    }
}
