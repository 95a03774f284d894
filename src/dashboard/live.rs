//! Pages that renew themselves: `GET /live/{page}` sends what has changed, as server-sent events.
//!
//! One look a second is taken and rendered for everybody who listens, and none while nobody does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::Dashboard;
use super::forecast::Forecasted;
use super::frame::{Place, Refused};
use super::kept_thread::KeptThread;
use super::look::Look;
use super::{actors, cluster, overview};
use crate::actors::{Ended, blocking};
use crate::api::{ApiState, Kind, Problem, refuse_while_stopping};
use crate::domain::Mono;
use crate::store::Result as StoreResult;

/// Time between looks.
const EVERY: Duration = Duration::from_secs(1);
/// A page takes a look that is no older: as a rule none is taken for it while somebody listens.
const FRESH: Duration = Duration::from_millis(1_250);
/// Something is told after each look. If nothing is for so long, one is stuck, and every stream says so.
const STUCK: Duration = Duration::from_secs(5);
/// Most streams at once.
const LISTENERS_MAX: usize = 200;

/// Parts as they are sent, by their ids.
type Parts = Arc<[(&'static str, Arc<str>)]>;

/// What there is to be sent.
#[derive(Debug, Clone, Default)]
struct Told {
    /// Counts what was told.
    number: u64,
    /// With which number the parts came.
    rendered: u64,
    parts: Parts,
    /// Why they are older than they should be.
    trouble: Option<Arc<str>>,
    /// What is new, as an event for everybody who knows what was told before: it is written once for all of them.
    news: Bytes,
}

impl Told {
    /// After this comes that.
    fn then(&self, parts: Parts) -> Self {
        let is_new =
            |(id, html): &&(&'static str, Arc<str>)| !self.parts.iter().any(|(old, was)| old == id && was == html);
        let news = event(parts.iter().filter(is_new), None);
        Self { number: self.number + 1, rendered: self.number + 1, parts, trouble: None, news }
    }

    /// After this comes nothing, for this reason.
    fn stopped_by(&self, trouble: &str) -> Self {
        let (parts, news) = (Arc::clone(&self.parts), event([].iter(), Some(trouble)));
        Self { number: self.number + 1, rendered: self.rendered, parts, trouble: Some(trouble.into()), news }
    }
}

fn event<'p>(parts: impl Iterator<Item = &'p (&'static str, Arc<str>)>, trouble: Option<&str>) -> Bytes {
    let sections: Map<String, Value> = parts.map(|(id, html)| ((*id).to_owned(), Value::from(html.as_ref()))).collect();
    let event = json!({ "sections": sections, "state": trouble.unwrap_or("Live"), "live": trouble.is_none() });
    // One line: JSON has no line ends of its own.
    format!("data: {event}\n\n").into()
}

/// The pages that have a stream.
const PAGES: [Place; 3] = [Place::Overview, Place::Cluster, Place::Actors];

#[derive(Default)]
struct State {
    /// The look that was begun last, and when.
    last: Option<(Mono, Arc<Look>)>,
    is_looking: bool,
}

/// See the module.
pub struct Live {
    api: ApiState,
    state: Mutex<State>,
    streams: [watch::Sender<Told>; PAGES.len()],
    /// Where looks for those who listen are taken and rendered.
    thread: KeptThread,
}

impl Live {
    /// Nobody listens yet.
    pub fn new(api: ApiState) -> Self {
        let streams = PAGES.map(|_| watch::Sender::new(Told::default()));
        Self { api, state: Mutex::default(), streams, thread: KeptThread::new("looks") }
    }

    fn listeners(&self) -> usize {
        self.streams.iter().map(watch::Sender::receiver_count).sum()
    }

    /// A look that is fresh enough for a page.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn look(&self) -> Result<Arc<Look>, Problem> {
        let last = self.state().last.clone();
        match last {
            Some((at, last)) if self.now().since(at) < FRESH => Ok(last),
            _ => self.look_anew().await,
        }
    }

    /// A look that was begun after this call, or a newer one. Not on the one thread: if the database does not answer, each page
    /// waits for itself alone.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn look_anew(&self) -> Result<Arc<Look>, Problem> {
        let (began, look) = blocking(self.question()).await?;
        Ok(self.keep(began, look))
    }

    /// The next look for those who listen.
    async fn next(&self) -> Result<Arc<Look>, Problem> {
        let ended = |ended: Ended| {
            log::error!("{ended}");
            Problem::new(Kind::Internal, "this node could not look")
        };
        let (began, look) = self.thread.run(self.question()).await.map_err(ended)??;
        Ok(self.keep(began, look))
    }

    /// Takes a look, and says when it was begun.
    fn question(&self) -> impl FnOnce() -> StoreResult<(Mono, Look)> + Send + use<> {
        let (store, metrics) = (Arc::clone(&self.api.store), Arc::clone(&self.api.metrics));
        let earlier = self.state().last.clone().map(|(_, last)| last);
        move || {
            let began = metrics.clock().mono();
            Ok((began, Look::take(store.as_ref(), earlier.as_deref())?))
        }
    }

    /// Of this look and the last one the one that was begun later.
    fn keep(&self, began: Mono, look: Look) -> Arc<Look> {
        let mut state = self.state();
        match &state.last {
            Some((at, last)) if *at > began => Arc::clone(last),
            _ => {
                let look = Arc::new(look);
                state.last = Some((began, Arc::clone(&look)));
                look
            }
        }
    }

    /// What is shown stays as it is, and says so.
    fn complain(&self, trouble: &str) {
        for sender in &self.streams {
            sender.send_modify(|told| *told = told.stopped_by(trouble));
        }
    }

    fn now(&self) -> Mono {
        self.api.metrics.clock().mono()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /live/{page}`.
pub async fn stream(dashboard: web::Data<Dashboard>, page: web::Path<String>) -> Result<HttpResponse, Refused> {
    let place = PAGES.iter().position(|place| place.stream() == Some(page.as_str()));
    let no_page = || Problem::new(Kind::UnknownPath, "there is no stream of this name");
    let sender = place.and_then(|place| dashboard.live.streams.get(place)).ok_or_else(no_page)?;
    if dashboard.live.listeners() >= LISTENERS_MAX {
        let detail = format!("{LISTENERS_MAX} pages of this node renew themselves already; close one, and try again");
        return Err(Problem::new(Kind::Unavailable, detail).into());
    }
    refuse_while_stopping(&dashboard.api)?;
    // Before anybody may find that nobody listens.
    let changes = sender.subscribe();
    begin(&dashboard);
    let answer = HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(events(Arc::clone(&dashboard), changes));
    Ok(answer)
}

/// One who looks. If it ends in the midst of that, another may begin.
struct Watch(Option<Arc<Dashboard>>);

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(dashboard) = &self.0 {
            dashboard.live.state().is_looking = false;
        }
    }
}

impl Watch {
    /// Ends if nobody listens any more: whoever subscribes after this was found begins another.
    fn is_over(&mut self) -> bool {
        let Some(dashboard) = &self.0 else { return true };
        let mut state = dashboard.live.state();
        if dashboard.live.listeners() > 0 && !dashboard.api.status.is_stopping() {
            return false;
        }
        state.is_looking = false;
        drop(state);
        self.0 = None;
        true
    }
}

/// Looks on until nobody listens any more.
fn begin(dashboard: &Arc<Dashboard>) {
    if std::mem::replace(&mut dashboard.live.state().is_looking, true) {
        return;
    }
    // What was told to those who listened before may be old by now: nobody is told it again.
    for sender in &dashboard.live.streams {
        sender.send_if_modified(|told| {
            *told = Told { number: told.number, ..Told::default() };
            false
        });
    }
    let dashboard = Arc::clone(dashboard);
    let mut watch = Watch(Some(Arc::clone(&dashboard)));
    actix_web::rt::spawn(async move {
        while !watch.is_over() {
            match dashboard.live.next().await {
                Ok(look) => render(&dashboard, look).await,
                Err(problem) => dashboard.live.complain(&format!("Not live: {problem}")),
            }
            tokio::time::sleep(EVERY).await;
        }
        if dashboard.api.status.is_stopping() {
            dashboard.live.complain("Not live: this node is stopping");
        }
    });
}

/// For those pages that somebody has open.
async fn render(dashboard: &Arc<Dashboard>, look: Arc<Look>) {
    let forecast = dashboard.forecast.get(&look);
    let shown = Arc::clone(dashboard);
    let rendered = dashboard.live.thread.run(move || {
        for (place, sender) in PAGES.into_iter().zip(&shown.live.streams) {
            if sender.receiver_count() > 0 {
                let last = sender.borrow().clone();
                sender.send_replace(last.then(parts(place, &look, forecast.as_ref())));
            }
        }
    });
    if let Err(cause) = rendered.await {
        log::error!("the open pages could not be rendered: {cause}");
        dashboard.live.complain("Not live: this node could not render the page");
    }
}

fn parts(place: Place, look: &Look, forecast: Option<&(Forecasted, Duration)>) -> Parts {
    let sections = match place {
        Place::Cluster => cluster::sections(look),
        Place::Actors => actors::sections(look),
        _ => overview::sections(look, forecast),
    };
    sections.into_iter().map(|(id, _, body)| (id, Arc::from(body.into_string()))).collect()
}

/// Who listens, and up to where it was told.
struct Listener {
    dashboard: Arc<Dashboard>,
    changes: watch::Receiver<Told>,
    /// What was told before it came is perhaps older than its page.
    from: u64,
    told: Option<u64>,
}

fn events(
    dashboard: Arc<Dashboard>,
    changes: watch::Receiver<Told>,
) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    let listener = Listener::new(dashboard, changes);
    stream::unfold(listener, |mut listener| async move {
        if listener.dashboard.api.status.is_stopping() {
            return None;
        }
        let event = match tokio::time::timeout(STUCK, listener.changes.changed()).await {
            Ok(Ok(())) => listener.event(),
            Ok(Err(_)) => return None,
            Err(_) => {
                // Unless whoever looked has ended in the midst of it, this does nothing.
                begin(&listener.dashboard);
                stuck()
            }
        };
        Some((Ok(event), listener))
    })
}

fn stuck() -> Bytes {
    let trouble = format!("Not live: this node has not looked for {} s", STUCK.as_secs());
    event([].iter(), Some(&trouble))
}

impl Listener {
    fn new(dashboard: Arc<Dashboard>, changes: watch::Receiver<Told>) -> Self {
        let from = changes.borrow().number;
        Self { dashboard, changes, from, told: None }
    }

    /// What is new to this one, and how it stands.
    fn event(&mut self) -> Bytes {
        let told = self.changes.borrow_and_update();
        if told.rendered <= self.from {
            return event([].iter(), told.trouble.as_deref());
        }
        let before = self.told.replace(told.number);
        match before.and_then(|before| told.number.checked_sub(before)) {
            Some(0) => event([].iter(), told.trouble.as_deref()),
            Some(1) => told.news.clone(),
            // It has come just now, or was too slow for some.
            _ => event(told.parts.iter(), told.trouble.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;
    use crate::api::fake;
    use crate::queue::Published;

    /// Keeps the thread from all else until what is given back is sent to or dropped.
    async fn busy(dashboard: &Arc<Dashboard>) -> std::sync::mpsc::Sender<()> {
        let (release, released) = std::sync::mpsc::channel();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let dashboard = Arc::clone(dashboard);
        let work = move || begun.send(()).is_ok() && released.recv().is_ok();
        actix_web::rt::spawn(async move { dashboard.live.thread.run(work).await });
        begins.await.unwrap();
        release
    }

    /// As a browser reads it.
    fn read(event: &Bytes) -> Value {
        let text = std::str::from_utf8(event).unwrap();
        serde_json::from_str(text.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap()).unwrap()
    }

    #[actix_web::test]
    async fn only_what_has_changed_is_sent_and_why_it_is_old() {
        let (api, _folder) = fake::api(Ok(Published::Queued));
        let dashboard = web::Data::from(Dashboard::new(&api));
        let stream = &dashboard.live.streams[0];
        let listens = || Listener::new(Arc::clone(&dashboard), stream.subscribe());
        let mut listener = listens();
        let tell = |a: &str, b: &str| {
            let parts: Parts = [("a", Arc::from(a)), ("b", Arc::from(b))].into();
            stream.send_modify(|told| *told = told.then(parts));
        };
        tell("<b>1</b>", "2");
        let told = read(&listener.event());
        assert_eq!(told, json!({"sections": {"a": "<b>1</b>", "b": "2"}, "state": "Live", "live": true}));
        tell("<b>1</b>", "3");
        assert_eq!(read(&listener.event())["sections"], json!({"b": "3"}));
        assert_eq!(read(&listener.event())["sections"], json!({}), "it was told");
        tell("<b>1</b>", "4");
        tell("<b>5</b>", "4");
        assert_eq!(read(&listener.event())["sections"], json!({"a": "<b>5</b>", "b": "4"}), "it has missed one");
        dashboard.live.complain("Not live: gone");
        let told = read(&listener.event());
        assert_eq!(told, json!({"sections": {}, "state": "Not live: gone", "live": false}));
        let mut late = listens();
        dashboard.live.complain("Not live: still gone");
        let told = read(&late.event());
        assert_eq!(told, json!({"sections": {}, "state": "Not live: still gone", "live": false}), "its page is newer");
        tell("<b>5</b>", "6");
        assert_eq!(read(&late.event())["sections"], json!({"a": "<b>5</b>", "b": "6"}), "all of it");
        assert_eq!(read(&listener.event())["sections"], json!({"a": "<b>5</b>", "b": "6"}), "it has missed one");
    }

    #[actix_web::test]
    async fn a_stream_says_that_a_look_is_stuck_and_that_it_goes_on() {
        let (api, _folder) = fake::api(Ok(Published::Queued));
        let dashboard = Dashboard::new(&api);
        let release = busy(&dashboard).await;
        let changes = dashboard.live.streams[0].subscribe();
        begin(&dashboard);
        let mut events = std::pin::pin!(events(Arc::clone(&dashboard), changes));
        tokio::time::pause();
        let told = read(&events.next().await.unwrap().unwrap());
        assert_eq!(told["state"], json!("Not live: this node has not looked for 5 s"), "{told}");
        tokio::time::resume();
        release.send(()).unwrap();
        let told = read(&events.next().await.unwrap().unwrap());
        assert_eq!(told["live"], json!(true), "{told}");
        assert!(told["sections"]["master"].is_string(), "{told}");
    }

    #[actix_web::test]
    async fn looks_for_those_who_listen_are_taken_and_rendered_on_one_thread() {
        let (api, _folder) = fake::api(Ok(Published::Queued));
        let dashboard = web::Data::from(Dashboard::new(&api));
        let look = dashboard.live.next().await.unwrap();
        let _listener = dashboard.live.streams[0].subscribe();
        let release = busy(&dashboard).await;
        // Anything else would be done by then.
        let soon = Duration::from_millis(100);
        let mut next = std::pin::pin!(dashboard.live.next());
        assert!(tokio::time::timeout(soon, &mut next).await.is_err(), "a look is taken elsewhere");
        let mut rendered = std::pin::pin!(render(&dashboard, look));
        assert!(tokio::time::timeout(soon, &mut rendered).await.is_err(), "it is rendered elsewhere");
        let meanwhile = dashboard.live.look_anew().await.unwrap();
        release.send(()).unwrap();
        assert!(!Arc::ptr_eq(&next.await.unwrap(), &meanwhile), "it was begun later, though asked for earlier");
        rendered.await;
        assert!(!dashboard.live.streams[0].borrow().parts.is_empty());
    }

    #[actix_web::test]
    async fn a_look_that_was_begun_earlier_does_not_come_after_a_newer_one() {
        let (api, _folder) = fake::api(Ok(Published::Queued));
        let dashboard = Dashboard::new(&api);
        let began = dashboard.live.now();
        while dashboard.live.now() == began {}
        let newer = dashboard.live.look_anew().await.unwrap();
        assert!(Arc::ptr_eq(&dashboard.live.keep(began, Look::default()), &newer));
        let (_, last) = dashboard.live.state().last.clone().unwrap();
        assert!(Arc::ptr_eq(&last, &newer));
    }

    #[actix_web::test]
    async fn somebody_looks_as_long_as_anybody_listens() {
        let (api, _folder) = fake::api(Ok(Published::Queued));
        let dashboard = web::Data::from(Dashboard::new(&api));
        let mut first = dashboard.live.streams[0].subscribe();
        begin(&dashboard);
        begin(&dashboard);
        first.changed().await.unwrap();
        assert!(first.borrow().parts.iter().any(|(id, _)| *id == "master"));
        drop(first);
        while dashboard.live.state().is_looking {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut next = dashboard.live.streams[1].subscribe();
        begin(&dashboard);
        next.changed().await.unwrap();
        assert!(next.borrow().trouble.is_none());
    }
}
