//! What an address of the list asks for: the filters of the API, without those that a form has left empty.

use url::form_urlencoded;

use crate::api::{self, Problem};
use crate::store::Filter;

/// What says where a list goes on and how it is shown, and not which tasks are meant.
const NO_CONDITION: [&str; 3] = ["cursor", "limit", "id"];

/// Names and values, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Of an address.
    pub fn read(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes());
        Self(pairs.into_owned().filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    /// For what is asked by one filter alone.
    pub fn of(name: &str, value: &str) -> Self {
        Self::default().with(name, value)
    }

    /// The first value of this name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// All values of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// All names with their values.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Without these names.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect())
    }

    /// With this value of the name, and no other.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.without(&[name]);
        other.0.push((name.to_owned(), value.to_owned()));
        other
    }

    /// Without where a list goes on: what names one task stays, and is refused by whoever asks for all of a filter.
    #[must_use]
    pub fn whole(&self) -> Self {
        self.without(&["cursor", "limit"])
    }

    /// Only what says which tasks are meant.
    #[must_use]
    pub fn condition(&self) -> Self {
        self.without(&NO_CONDITION)
    }

    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An address with it.
    pub fn href(&self, path: &str) -> String {
        if self.is_empty() { path.to_owned() } else { format!("{path}?{}", self.text()) }
    }

    /// As the store is asked.
    ///
    /// # Errors
    /// The first parameter that is not allowed.
    pub fn filter(&self) -> Result<Filter, Problem> {
        api::filter(&self.text())
    }

    fn text(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::State;

    #[test]
    fn what_a_form_has_left_empty_is_not_asked_for() {
        let query = Query::read("id=&label=a%3Db+c&label=&state=failed&target=+&from=&to=");
        assert_eq!(query.href("/tasks"), "/tasks?label=a%3Db+c&state=failed");
        let filter = query.filter().unwrap();
        assert_eq!((filter.state, filter.labels), (Some(State::Failed), vec![("a".to_owned(), "b c".to_owned())]));
        assert_eq!(Query::read("state=&x").href("/tasks"), "/tasks");
    }

    #[test]
    fn a_link_keeps_the_other_filters() {
        let query = Query::read("state=failed&label=a%3Db&label=c%3D%26&cursor=x&limit=7");
        assert_eq!(
            query.with("state", "unknown").without(&["cursor"]).href("/t"),
            "/t?label=a%3Db&label=c%3D%26&limit=7&state=unknown"
        );
        assert_eq!(query.condition().href("/t"), "/t?state=failed&label=a%3Db&label=c%3D%26");
        assert_eq!(query.all("label").collect::<Vec<_>>(), ["a=b", "c=&"]);
        assert_eq!((query.first("label"), query.first("to")), (Some("a=b"), None));
        assert!(Query::read("cursor=x&limit=7&id=y").condition().is_empty());
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        let refused = Query::read("stat=failed").filter().unwrap_err();
        assert!(refused.to_string().starts_with("the parameter stat is failed"), "{refused}");
    }
}
