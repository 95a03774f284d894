//! Rules between settings: what only several of them together get wrong.

use std::time::Duration;

use super::settings::{Origin, Settings};
use crate::domain::limits::BATCH_BYTES_MAX;
use crate::domain::time::millis_of;

/// Checks the settings against each other, adds what is wrong, and sets what follows from them: the address guard.
pub(super) fn apply(settings: &mut Settings) {
    let mut errors: Vec<String> = [slots(settings), halves(settings), resolver(settings)].concat();
    let beyond_loopback = !settings.config.api.listen.ip().to_canonical().is_loopback();
    // Others than this machine's own users can submit: tasks must not reach what only this machine can.
    settings.config.http.guard = beyond_loopback;
    if beyond_loopback {
        let (error, warning) = unauthenticated(settings);
        errors.extend(error);
        settings.warnings.extend(warning);
    }
    settings.errors.extend(errors);
    settings.warnings.extend(without_effect(settings));
}

fn slots(settings: &Settings) -> Vec<String> {
    let actors = &settings.config.actors;
    if u64::from(actors.slots) <= actors.claim_buffer {
        return Vec::new();
    }
    vec![format!(
        "claim_buffer is {} from {}, but slots is {} from {}; allowed: a claim_buffer of at least slots",
        actors.claim_buffer,
        settings.origin("claim-buffer").place(),
        actors.slots,
        settings.origin("slots").place()
    )]
}

/// What is repeated must come twice before the other side gives up: a single late one must not depose anybody.
fn halves(settings: &Settings) -> Vec<String> {
    let actors = &settings.config.actors;
    [
        ("renew-ms", actors.renew, "lease-ms", actors.lease),
        ("heartbeat-ms", actors.heartbeat, "dead-after-ms", actors.dead_after),
    ]
    .into_iter()
    .filter(|(_, often, _, seldom)| *often * 2 > *seldom)
    .map(|(flag, often, other, seldom)| at_most(settings, (flag, often), (other, seldom), "half of"))
    .collect()
}

fn resolver(settings: &Settings) -> Vec<String> {
    let actors = &settings.config.actors;
    if actors.resolve <= actors.lease {
        return Vec::new();
    }
    vec![at_most(settings, ("resolve-ms", actors.resolve), ("lease-ms", actors.lease), "")]
}

fn at_most(settings: &Settings, short: (&str, Duration), long: (&str, Duration), share: &str) -> String {
    let (name, other) = (short.0.replace('-', "_"), long.0.replace('-', "_"));
    let share = if share.is_empty() { String::new() } else { format!("{share} ") };
    format!(
        "{name} is {} ms from {}, but {other} is {} ms from {}; allowed: {name} at most {share}{other}",
        millis_of(short.1),
        settings.origin(short.0).place(),
        millis_of(long.1),
        settings.origin(long.0).place()
    )
}

/// The error or the warning for a node that others can reach.
fn unauthenticated(settings: &Settings) -> (Option<String>, Option<String>) {
    let listen = settings.config.api.listen;
    if settings.config.api.allow_unauthenticated {
        return (
            None,
            Some(format!("there is no authentication: whoever reaches {listen} can submit and cancel tasks")),
        );
    }
    let error = format!(
        "listen is {listen} from {}, which others can reach, and there is no authentication; \
         listen on 127.0.0.1 or [::1], or add --allow-unauthenticated",
        settings.origin("listen").place()
    );
    (Some(error), None)
}

fn without_effect(settings: &Settings) -> Vec<String> {
    let config = &settings.config;
    let mut warnings = Vec::new();
    if !config.http.guard && *settings.origin("http-allow") != Origin::Default {
        warnings.push("http_allow has no effect: on loopback there is no address guard".to_owned());
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
    use super::super::settings_args::SettingsArgs;
    use super::*;

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
        assert!(error(&[("dead-after-ms", "999")]).contains("heartbeat_ms at most half of dead_after_ms"));
        assert!(error(&[("resolve-ms", "3001")]).ends_with("resolve_ms at most lease_ms"));
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
    fn loopback_has_no_guard() {
        for listen in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let settings = settings(&[("listen", listen), ("http-allow", "10.0.0.0/8")]);
            assert!(settings.errors.is_empty() && !settings.config.http.guard);
            assert!(settings.warnings.concat().contains("http_allow has no effect"));
        }
    }
}
