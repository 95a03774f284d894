//! The list of settings against itself and the README.

use std::collections::BTreeSet;

use super::setting::Field;
use super::setting_list::SETTINGS;
use crate::config::NodeConfig;

#[test]
fn names_are_distinct_and_end_with_their_unit() {
    let flags: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.flag).collect();
    assert_eq!(flags.len(), SETTINGS.len());
    for setting in &SETTINGS {
        assert_eq!(setting.flag.ends_with("-ms"), setting.unit() == "ms", "{}", setting.flag);
        assert_eq!(setting.flag.ends_with("-bytes"), setting.unit() == "bytes", "{}", setting.flag);
        assert_eq!(setting.flag.ends_with("-hours"), setting.unit() == "h", "{}", setting.flag);
    }
}

#[test]
fn every_default_is_allowed_and_read_back_as_it_was() {
    let default = NodeConfig::named("n");
    for setting in &SETTINGS {
        let mut config = default.clone();
        let values = match setting.get(&default) {
            serde_json::Value::Array(items) => items.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
            serde_json::Value::String(text) => vec![text],
            other => vec![other.to_string()],
        };
        setting.put(&mut config, &values).expect(setting.flag);
        assert_eq!(config, default, "{}", setting.flag);
    }
}

#[test]
fn each_keeps_its_value_in_a_place_of_its_own() {
    let default = NodeConfig::named("n");
    for setting in &SETTINGS {
        let value = match &setting.field {
            Field::Number { range, get, .. } if get(&default) == *range.start() => range.end().to_string(),
            Field::Number { range, .. } => range.start().to_string(),
            Field::Switch { get, .. } => (!get(&default)).to_string(),
            Field::List { .. } if setting.flag == "http-ambiguous-status" => "503".to_owned(),
            Field::List { .. } if setting.flag == "kafka-property" => "sasl.username=u".to_owned(),
            Field::List { .. } if setting.flag == "kafka-target-cluster" => "west=h:1;h:2".to_owned(),
            Field::List { .. } => "10.0.0.0".to_owned(),
            Field::Text { .. } if setting.flag == "database-url" => "postgres://u:p@h/d".to_owned(),
            Field::Text { .. } if setting.flag == "submission-topic" => "t".to_owned(),
            Field::Text { .. } => "[::1]:80".to_owned(),
        };
        let mut config = default.clone();
        setting.put(&mut config, &[value]).expect(setting.flag);
        let changed: Vec<&str> =
            SETTINGS.iter().filter(|other| other.get(&config) != other.get(&default)).map(|other| other.flag).collect();
        assert_eq!(changed, [setting.flag]);
    }
}

#[test]
fn wrong_values_are_refused() {
    for (flag, value) in [
        ("listen", "8080"),
        ("name", ""),
        ("data-dir", ""),
        ("database-url", "mysql://h/d"),
        ("database-url", "host=h"),
        ("slots", "0"),
        ("slots", "10001"),
        ("slots", "many"),
        ("retention-hours", "-1"),
        ("retention-hours", "87601"),
        ("claim-lead-ms", "251"),
        ("allow-unauthenticated", "yes"),
        ("allowed-host", "http://a/"),
        ("http-allow", "::ffff:10.0.0.0/104"),
        ("http-allow", "10.0.0.0/33"),
        ("http-ambiguous-status", "200"),
        ("http-reuse-within-ms", "1000"),
        ("kafka-brokers", "broker"),
        ("kafka-brokers", "broker:0"),
        ("submission-topic", "a b"),
        ("submission-topic", ".."),
        ("kafka-target-cluster", "h:1"),
        ("kafka-target-cluster", "West=h:1"),
        ("kafka-target-cluster", "=h:1"),
        ("kafka-target-cluster", "west="),
        ("kafka-target-cluster", "west=h:1;"),
        ("kafka-target-cluster", "west=h"),
        ("kafka-target-topic", "a*b"),
        ("kafka-target-topic", "West/a"),
        ("kafka-target-topic", "west/"),
        ("kafka-target-topic", "west/a/b"),
        ("kafka-property", "west/acks=0"),
        ("kafka-property", "/sasl.username=u"),
        ("kafka-property", "acks=0"),
        ("kafka-property", "sasl.username"),
    ] {
        let setting = SETTINGS.iter().find(|setting| setting.flag == flag).unwrap();
        let refused = setting.put(&mut NodeConfig::named("n"), &[value.to_owned()]).expect_err(flag);
        assert_eq!(refused.value, value);
    }
}

#[test]
fn a_named_cluster_its_topics_and_properties_are_read_in_every_form_of_a_list() {
    let put = |flag: &str, values: &[&str]| {
        let setting = SETTINGS.iter().find(|setting| setting.flag == flag).unwrap();
        let mut config = NodeConfig::named("n");
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        setting.put(&mut config, &values).map(|()| setting.shown(&config)).map_err(|refused| refused.value)
    };
    let two = Ok("west=a:1;b:2,east=[::1]:3".to_owned());
    assert_eq!(put("kafka-target-cluster", &["west=a:1; b:2", "east=[::1]:3"]), two, "flags or an array");
    assert_eq!(put("kafka-target-cluster", &["west=a:1;b:2, east=[::1]:3"]), two, "the environment");
    assert_eq!(put("kafka-target-cluster", &["west=a:1", "east=b:1", "west=c:1"]), Err("west=c:1".to_owned()));
    assert_eq!(put("kafka-target-topic", &["orders, west/mail-*, west/*"]), Ok("orders,west/mail-*,west/*".to_owned()));
    assert_eq!(put("kafka-property", &["west/sasl.password=x"]), Ok("west/sasl.password=***".to_owned()));
}

#[test]
fn the_readme_lists_every_setting_as_it_is() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let default = NodeConfig::named("n");
    for setting in &SETTINGS {
        let value = setting.default_words.map_or_else(|| setting.shown(&default), str::to_owned);
        let row = format!(
            "| `--{}` | `{}` | `{}` | {value} | {} | {} | {} |",
            setting.flag,
            setting.variable(),
            setting.key(),
            setting.unit(),
            setting.allowed(),
            setting.about
        );
        assert!(readme.lines().any(|line| line == row), "README.md lacks this row:\n{row}");
    }
}
