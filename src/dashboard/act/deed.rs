//! What can be done to tasks from a page, to one or to many: its words, its form, and what it comes to.

use maud::{Markup, html};
use serde_json::json;

use super::super::form::Form;
use crate::api::{self, Kind, Problem};
use crate::domain::{State, Timestamp};
use crate::store::{Operation, Resolution};

/// What a task can be settled as, and what that says.
const RESOLUTIONS: [(&str, &str); 3] = [
    ("succeeded", "the target was reached"),
    ("failed", "it was not, and the task is given up"),
    ("scheduled", "fire it again, now"),
];

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Call off.
    Cancel,
    /// Make due now.
    Run,
    /// Schedule again.
    Retry,
    /// Settle.
    Resolve,
    /// Make due at another instant.
    Reschedule,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cancel, Self::Run, Self::Reschedule, Self::Retry, Self::Resolve];

    /// Its word, in paths and in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Run => "run",
            Self::Retry => "retry",
            Self::Resolve => "resolve",
            Self::Reschedule => "reschedule",
        }
    }

    /// The one of this word.
    ///
    /// # Errors
    /// There is none.
    pub fn from_word(word: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|deed| deed.word() == word);
        found.ok_or_else(|| Problem::new(Kind::UnknownPath, "there is nothing of that name that can be done to tasks"))
    }

    /// As a button says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "Cancel",
            Self::Run => "Run now",
            Self::Retry => "Retry",
            Self::Resolve => "Resolve",
            Self::Reschedule => "Reschedule",
        }
    }

    /// What has become of a task.
    pub fn done(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Run => "made-due",
            Self::Retry => "retried",
            Self::Resolve => "resolved",
            Self::Reschedule => "rescheduled",
        }
    }

    /// The same for people, after "was" or "were".
    pub fn done_in_words(self) -> &'static str {
        match self {
            Self::Run => "made due now",
            Self::Retry => "scheduled again",
            other => other.done(),
        }
    }

    /// What will happen to a task, in one sentence.
    pub fn effect(self) -> &'static str {
        match self {
            Self::Cancel => "It is called off for good: its target is not called, and it cannot be scheduled again.",
            Self::Run => "It is due at once, whatever its time was: its target is called now.",
            Self::Retry => "It is scheduled again and due at once: its target is called once more.",
            Self::Resolve => "Nobody can know whether its target was reached. What you say here settles it.",
            Self::Reschedule => "It is due at the instant that you give, and no longer at the one it has.",
        }
    }

    /// The same for many.
    pub fn effect_on_many(self) -> &'static str {
        match self {
            Self::Cancel => "They are called off for good: no target is called, and none can be scheduled again.",
            Self::Run => "They are due at once, whatever their times were: their targets are called now.",
            Self::Retry => "They are scheduled again and due at once: their targets are called once more.",
            Self::Resolve => {
                "Nobody can know whether their targets were reached. What you say here settles all of them."
            }
            Self::Reschedule => "They are due at the one instant that you give, and no longer at those they have.",
        }
    }

    /// Only tasks in this state are acted on.
    pub fn acts_on(self) -> State {
        self.example().acts_on()
    }

    /// One of its kind: on the same tasks, whatever its form will say.
    pub fn example(self) -> Operation {
        match self {
            Self::Cancel => Operation::Cancel,
            Self::Run => Operation::Run,
            Self::Retry => Operation::Retry,
            Self::Resolve => Operation::Resolve(Resolution::Failed),
            Self::Reschedule => Operation::Reschedule(Timestamp::NEVER),
        }
    }

    /// Where it is done to all tasks of a filter.
    pub fn path_of_many(self) -> String {
        format!("/tasks/all/{}", self.word())
    }

    /// What its form asks for. `run_at` is what stands there first.
    pub fn fields(self, run_at: Option<Timestamp>) -> Markup {
        match self {
            Self::Cancel | Self::Run | Self::Retry => html! {},
            Self::Resolve => html! {
                fieldset {
                    legend { "What became of it" }
                    @for (word, meaning) in RESOLUTIONS {
                        p {
                            input type="radio" id={ "as-" (word) } name="state" value=(word) required;
                            " "
                            label for={ "as-" (word) } { strong { (word) } ": " (meaning) }
                        }
                    }
                }
            },
            Self::Reschedule => html! {
                p {
                    label for="run-at" { "New instant" }
                    input #run-at name="run_at" value=[run_at] required autocomplete="off" spellcheck="false"
                        aria-describedby="run-at-form";
                }
                p #run-at-form .soft {
                    "With an offset from UTC, like 2026-12-24T18:00:00+01:00 or 2026-12-24T17:00:00Z."
                }
            },
        }
    }

    /// What the filled-in form asks for, checked as the API checks it; `at` is the database's clock at receipt.
    ///
    /// # Errors
    /// A field is not allowed as it is.
    pub fn operation(self, form: &Form, at: Timestamp) -> Result<Operation, Problem> {
        let said = match self {
            Self::Cancel | Self::Run | Self::Retry => json!({}),
            Self::Resolve => json!({ "state": form.filled("state") }),
            Self::Reschedule => json!({ "run_at": form.filled("run_at") }),
        };
        api::operation(self.word(), said.to_string().as_bytes(), at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

    #[test]
    fn each_form_comes_to_an_operation_of_its_kind() {
        let read = |deed: Deed, form: &str| deed.operation(&Form::read(form.as_bytes()), NOW);
        let christmas = Timestamp::parse("2026-12-24T17:00:00Z").unwrap();
        for (deed, form, is) in [
            (Deed::Cancel, "token=x", Operation::Cancel),
            (Deed::Run, "", Operation::Run),
            (Deed::Retry, "", Operation::Retry),
            (Deed::Resolve, "state=scheduled", Operation::Resolve(Resolution::Scheduled)),
            (Deed::Reschedule, "run_at=+2026-12-24T18:00:00%2B01:00", Operation::Reschedule(christmas)),
        ] {
            assert_eq!(read(deed, form).unwrap(), is);
            assert_eq!(deed.acts_on(), is.acts_on());
            assert_eq!(Deed::from_word(deed.word()).unwrap(), deed);
        }
        for (deed, form) in [
            (Deed::Resolve, ""),
            (Deed::Resolve, "state=cancelled"),
            (Deed::Reschedule, "run_at="),
            (Deed::Reschedule, "run_at=2026-12-24T18:00:00"),
            (Deed::Reschedule, "run_at=9999-01-01T00:00:00Z"),
        ] {
            assert_eq!(read(deed, form).unwrap_err().kind(), Kind::InvalidField, "{deed:?} {form}");
        }
        assert_eq!(Deed::from_word("remove").unwrap_err().kind(), Kind::UnknownPath);
    }

    #[test]
    fn a_form_asks_for_what_its_deed_needs_and_every_field_has_a_label() {
        for deed in Deed::ALL {
            let html = deed.fields(Some(NOW)).into_string();
            let (fields, labels) = (html.matches("<input ").count(), html.matches("<label for=").count());
            let needed = match deed {
                Deed::Resolve => 3,
                Deed::Reschedule => 1,
                _ => 0,
            };
            assert_eq!((fields, labels), (needed, needed), "{html}");
        }
        assert!(Deed::Reschedule.fields(Some(NOW)).into_string().contains(&format!("value=\"{NOW}\"")));
        assert!(!Deed::Reschedule.fields(None).into_string().contains("value="));
    }
}
