//! Rules between settings: what only several of them together get wrong.

use std::time::Duration;

use super::exit::quoted;
use super::origin::{Origin, Origins};
use crate::config::{LEASE_MARGIN, NodeConfig};
use crate::domain::limits::BATCH_BYTES_MAX;
use crate::domain::time::millis_of;

/// What is wrong between settings.
#[derive(Debug, Default)]
pub struct Found {
    /// What forbids a start, one line each.
    pub errors: Vec<String>,
    /// What does not, one line each.
    pub warnings: Vec<String>,
}

/// Checks the settings against each other, and sets what follows from them: the address guard.
pub fn apply(config: &mut NodeConfig, origins: &Origins) -> Found {
    let api = &config.api;
    let beyond_loopback = !api.listen.ip().to_canonical().is_loopback();
    // Others than this machine's own users can submit, directly or by a proxy in front of the node: tasks must not
    // reach what only this machine can.
    config.http.guard = beyond_loopback || !api.allowed_hosts.is_empty();
    let mut found = Found { errors: Vec::new(), warnings: without_effect(config, origins) };
    found.errors.extend(slots(config, origins));
    found.errors.extend(halves(config, origins));
    found.errors.extend(lease(config, origins));
    found.errors.extend(dead_after(config, origins));
    found.errors.extend(unknown_clusters(config, origins));
    if beyond_loopback && config.api.allow_unauthenticated {
        found.warnings.push(format!(
            "there is no authentication: whoever reaches {} can submit and cancel tasks",
            config.api.listen
        ));
    } else if beyond_loopback {
        found.errors.push(unauthenticated(config, origins));
    }
    found
}

fn slots(config: &NodeConfig, origins: &Origins) -> Option<String> {
    let actors = &config.actors;
    (u64::from(actors.slots) > actors.claim_buffer).then(|| {
        format!(
            "claim_buffer is {} from {}, but slots is {} from {}; allowed: a claim_buffer of at least slots",
            actors.claim_buffer,
            origins.of("claim-buffer").place(),
            actors.slots,
            origins.of("slots").place()
        )
    })
}

/// What is repeated must come twice before the other side gives up: a single late one must not depose anybody.
fn halves(config: &NodeConfig, origins: &Origins) -> Vec<String> {
    let actors = &config.actors;
    [
        ("renew-ms", actors.renew, "lease-ms", actors.lease),
        ("heartbeat-ms", actors.heartbeat, "dead-after-ms", actors.dead_after),
    ]
    .into_iter()
    .filter(|(_, often, _, seldom)| *often * 2 > *seldom)
    .map(|(flag, often, other, seldom)| at_most(origins, (flag, often), (other, seldom), "half of "))
    .collect()
}

/// A renewal is due after `renew` and sent at the next look; one that fails is sent again at the look after. By then the
/// lease must still be trusted, or the master pauses at each hiccup, and with less than the margin never claims at all.
fn lease(config: &NodeConfig, origins: &Origins) -> Option<String> {
    let actors = &config.actors;
    let least = LEASE_MARGIN + actors.renew + actors.resolve * 2;
    (actors.lease < least).then(|| {
        format!(
            "lease_ms is {} ms from {}, but renew_ms is {} ms from {} and resolve_ms is {} ms from {}; \
             allowed: lease_ms at least {} + renew_ms + 2 * resolve_ms, here {} ms",
            millis_of(actors.lease),
            origins.of("lease-ms").place(),
            millis_of(actors.renew),
            origins.of("renew-ms").place(),
            millis_of(actors.resolve),
            origins.of("resolve-ms").place(),
            millis_of(LEASE_MARGIN),
            millis_of(least)
        )
    })
}

/// When nobody's commits get through, the master's renewals and the others' heartbeats end together: it must stop
/// trusting its lease before it takes the others for dead. Their last sign of life may be one heartbeat older than its
/// last renewal.
fn dead_after(config: &NodeConfig, origins: &Origins) -> Option<String> {
    let actors = &config.actors;
    let least = (actors.lease + actors.heartbeat).saturating_sub(LEASE_MARGIN);
    (actors.dead_after < least).then(|| {
        format!(
            "dead_after_ms is {} ms from {}, but lease_ms is {} ms from {} and heartbeat_ms is {} ms from {}; \
             allowed: dead_after_ms at least lease_ms - {} + heartbeat_ms, here {} ms",
            millis_of(actors.dead_after),
            origins.of("dead-after-ms").place(),
            millis_of(actors.lease),
            origins.of("lease-ms").place(),
            millis_of(actors.heartbeat),
            origins.of("heartbeat-ms").place(),
            millis_of(LEASE_MARGIN),
            millis_of(least)
        )
    })
}

/// Topics and properties of clusters that are not named.
fn unknown_clusters(config: &NodeConfig, origins: &Origins) -> Vec<String> {
    let kafka = &config.kafka;
    let names: Vec<&str> = kafka.target_clusters.iter().map(|one| one.name.as_str()).collect();
    let allowed = match names.as_slice() {
        [] => "no name, as long as there is no kafka_target_cluster".to_owned(),
        some => format!("no name, or one of {}", some.join(", ")),
    };
    let topics =
        kafka.target_topics.iter().map(|topic| ("kafka-target-topic", topic.cluster.as_ref(), topic.to_string()));
    let properties = kafka.properties.iter().map(|one| ("kafka-property", one.cluster.as_ref(), one.to_string()));
    let unknown = |cluster: &str| !names.contains(&cluster);
    topics
        .chain(properties)
        .filter(|(_, cluster, _)| cluster.is_some_and(|cluster| unknown(cluster)))
        .map(|(flag, _, item)| {
            let (name, place) = (flag.replace('-', "_"), origins.of(flag).place());
            format!("{name} has {} from {place}, of a cluster that is not set; allowed: {allowed}", quoted(&item))
        })
        .collect()
}

fn at_most(origins: &Origins, short: (&str, Duration), long: (&str, Duration), share: &str) -> String {
    let (name, other) = (short.0.replace('-', "_"), long.0.replace('-', "_"));
    format!(
        "{name} is {} ms from {}, but {other} is {} ms from {}; allowed: {name} at most {share}{other}",
        millis_of(short.1),
        origins.of(short.0).place(),
        millis_of(long.1),
        origins.of(long.0).place()
    )
}

fn unauthenticated(config: &NodeConfig, origins: &Origins) -> String {
    format!(
        "listen is {} from {}, which others can reach, and there is no authentication; \
         listen on 127.0.0.1 or [::1], or add --allow-unauthenticated",
        config.api.listen,
        origins.of("listen").place()
    )
}

fn without_effect(config: &NodeConfig, origins: &Origins) -> Vec<String> {
    let mut warnings = Vec::new();
    if !config.http.guard && *origins.of("http-allow") != Origin::Default {
        warnings
            .push("http_allow has no effect: on loopback, without allowed_host, there is no address guard".to_owned());
    }
    let nameless = config.kafka.target_topics.iter().find(|topic| topic.cluster.is_none());
    if let Some(topic) = nameless.filter(|_| !config.kafka.is_there()) {
        warnings.push(format!(
            "kafka_target_topic {topic} has no effect: it names no cluster, and there is no kafka_brokers"
        ));
    }
    if config.queue.bytes_max < BATCH_BYTES_MAX {
        warnings.push(format!(
            "queue_bytes is {}, below the largest batch ({BATCH_BYTES_MAX} bytes): such a batch is never taken",
            config.queue.bytes_max
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::super::settings_args::SettingsArgs;

    fn settings(given: &[(&'static str, &str)]) -> Settings {
        let flags = given.iter().map(|(flag, text)| (*flag, vec![(*text).to_owned()])).collect();
        Settings::resolve(&SettingsArgs { config: None, flags }, &[])
    }

    fn error(given: &[(&'static str, &str)]) -> String {
        let errors = settings(given).errors;
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors.concat()
    }

    #[test]
    fn the_defaults_are_without_error_and_warning() {
        let settings = settings(&[]);
        assert_eq!((settings.errors, settings.warnings), (Vec::new(), Vec::new()));
        assert!(!settings.config.http.guard);
    }

    #[test]
    fn settings_that_contradict_each_other_are_both_named() {
        assert_eq!(
            error(&[("slots", "3000")]),
            "claim_buffer is 2000 from the default, but slots is 3000 from the flag --slots; \
             allowed: a claim_buffer of at least slots"
        );
        assert_eq!(
            error(&[("renew-ms", "1501")]),
            "renew_ms is 1501 ms from the flag --renew-ms, but lease_ms is 3000 ms from the default; \
             allowed: renew_ms at most half of lease_ms"
        );
        let short = settings(&[("dead-after-ms", "999"), ("lease-ms", "1750")]).errors;
        assert!(short[0].ends_with("heartbeat_ms at most half of dead_after_ms"), "{short:?}");
    }

    #[test]
    fn a_lease_outlasts_its_margin_and_a_renewal_that_fails() {
        assert_eq!(settings(&[("lease-ms", "1750")]).errors, Vec::<String>::new());
        assert_eq!(
            error(&[("lease-ms", "1749")]),
            "lease_ms is 1749 ms from the flag --lease-ms, but renew_ms is 750 ms from the default and resolve_ms is \
             250 ms from the default; allowed: lease_ms at least 500 + renew_ms + 2 * resolve_ms, here 1750 ms"
        );
        let shortest = [("renew-ms", "10"), ("resolve-ms", "10")];
        assert!(error(&[&shortest[..], &[("lease-ms", "500")]].concat()).ends_with("here 530 ms"));
        assert_eq!(settings(&[&shortest[..], &[("lease-ms", "530")]].concat()).errors, Vec::<String>::new());
        assert!(error(&[("resolve-ms", "876")]).ends_with("here 3002 ms"));
    }

    #[test]
    fn a_masters_trust_ends_before_it_takes_others_for_dead() {
        assert_eq!(
            error(&[("dead-after-ms", "2999")]),
            "dead_after_ms is 2999 ms from the flag --dead-after-ms, but lease_ms is 3000 ms from the default and \
             heartbeat_ms is 500 ms from the default; allowed: dead_after_ms at least lease_ms - 500 + heartbeat_ms, \
             here 3000 ms"
        );
        assert!(error(&[("lease-ms", "3001")]).ends_with("here 3001 ms"));
        assert_eq!(settings(&[("lease-ms", "60000"), ("dead-after-ms", "60000")]).errors, Vec::<String>::new());
        assert!(error(&[("heartbeat-ms", "501")]).ends_with("here 3001 ms"));
    }

    #[test]
    fn a_cluster_that_is_not_set_has_no_topics_and_properties() {
        assert_eq!(
            error(&[("kafka-target-topic", "west/orders")]),
            "kafka_target_topic has \"west/orders\" from the flag --kafka-target-topic, of a cluster that is not set; \
             allowed: no name, as long as there is no kafka_target_cluster"
        );
        let west = ("kafka-target-cluster", "west=h:1,east=h:2");
        let secret = error(&[west, ("kafka-property", "wets/sasl.password=hush")]);
        assert!(
            secret.contains("\"wets/sasl.password=***\"") && secret.ends_with("no name, or one of west, east"),
            "{secret}"
        );
        let known = settings(&[west, ("kafka-property", "west/sasl.password=x"), ("kafka-target-topic", "east/a")]);
        assert_eq!((known.errors, known.warnings), (Vec::new(), Vec::new()));
    }

    #[test]
    fn topics_without_a_cluster_are_said_to_have_no_effect() {
        let topics = [("kafka-target-cluster", "west=h:1"), ("kafka-target-topic", "west/a,b")];
        let found = settings(&topics);
        assert!(found.errors.is_empty() && found.warnings.len() == 1, "{:?} {:?}", found.errors, found.warnings);
        assert!(found.warnings[0].starts_with("kafka_target_topic b has no effect"), "{:?}", found.warnings);
        assert!(settings(&[&topics[..], &[("kafka-brokers", "h:2")]].concat()).warnings.is_empty());
    }

    #[test]
    fn beyond_loopback_needs_a_word_and_gets_the_guard() {
        for listen in ["0.0.0.0:8080", "[::]:8080", "10.1.2.3:80"] {
            assert!(error(&[("listen", listen)]).contains("--allow-unauthenticated"));
            let allowed = settings(&[("listen", listen), ("allow-unauthenticated", "true")]);
            assert_eq!((allowed.errors.len(), allowed.warnings.len()), (0, 1));
            assert!(allowed.config.http.guard);
        }
    }

    #[test]
    fn a_name_that_a_proxy_serves_it_under_brings_the_guard_too() {
        let settings = settings(&[("allowed-host", "tasks.example.org"), ("http-allow", "10.0.0.0/8")]);
        assert!(settings.config.http.guard && settings.errors.is_empty() && settings.warnings.is_empty());
    }

    #[test]
    fn loopback_has_no_guard() {
        for listen in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let settings = settings(&[("listen", listen), ("http-allow", "10.0.0.0/8")]);
            assert!(settings.errors.is_empty() && !settings.config.http.guard);
            assert!(settings.warnings.concat().contains("http_allow has no effect"));
        }
    }
}
