//! `task-scheduler`: runs every scheduled task at its time, once, even in a cluster.
//!
//! This page is the map. It stays high: what the parts are, how a task goes through them, and what must hold. Each
//! module's own page tells how.
//!
//! # The way of a task
//!
//! ```text
//! caller ── REST ──▶ api ──▶ queue ──▶ KafkaIngest ──▶ store ◀──▶ Dispatcher (master only)
//!                                                        ▲             │ claims what is due,
//!             heartbeat, mastership, recovery ───────────┤             ▼ names an executor
//!             Heartbeat, MasterResolver                  └────── Executor ──▶ calls ──▶ target
//! ```
//!
//! 1. *Submit.* [`api`] checks a document ([`domain::document`]) and publishes it to the [`queue`]. Embedded, the queue
//!    is a bounded channel: the caller is answered `201` when the task is committed, not before. With Kafka it is a topic
//!    ([`queue::kafka`]): the caller is answered `202` when all copies of the record are made, and others may write there too.
//! 2. *Ingest.* [`actors::kafka_ingest`] takes a batch, writes it in one transaction ([`store::Store::ingest`]),
//!    acknowledges it, and hints the Dispatcher. Of a topic it reads the partitions that are this node's
//!    ([`domain::share`]), each from the offset in the database, which the same transaction moves on if it is still there
//!    ([`store::Store::ingest_from`]): reading twice stores nothing twice, and there is no group to rebalance.
//! 3. *Claim.* [`actors::dispatcher`] holds the next seconds in memory ([`domain::look_ahead`]). A claim lead before
//!    `due_at` it claims in one fenced transaction ([`store::Store::claim`]), which also writes the *assignment* by
//!    which the executor learns of it.
//! 4. *Start.* [`actors::executor`] reads its assignments. In the last 20 ms before `due_at`, or when a slot gets free, it
//!    writes a *start record* ([`store::Store::start`]): the point of no return. Then the call belongs to
//!    [`actors::calls`], which fires it at `due_at` by the database's clock ([`domain::clock_map`], [`actors::timer`]).
//! 5. *Call.* [`targets`] makes the call and types how it ended ([`domain::Outcome`]): succeeded, failed, not sent, or
//!    ambiguous. What is not certain is ambiguous.
//! 6. *Settle.* [`domain::settlement`] turns the outcome into the task's next step; [`actors::outcomes`] writes it in
//!    batches ([`store::Store::settle`]), bound to the claim, until it is in. An ended task moves to history.
//! 7. *Remove.* What has been finished long enough the master removes, batch by batch with rests between them
//!    ([`domain::retention`], [`store::Store::remove`]); an `unknown` task never.
//!
//! # What people see
//!
//! [`dashboard`] shows all of it as pages: each from one look at the task database a second, which all open pages of a node
//! share, so that any node shows the whole cluster. What they do goes the way of the calls of [`api`].
//!
//! # One store, two databases
//!
//! [`store::Store`] is written twice: [`store::sqlite`] for one process and its file, [`store::postgres`] for a cluster.
//! One suite of tests runs on both. Where several nodes share a database, each tells the others of what they could not
//! know ([`store::Hint`]: claims for them, tasks that came in, a master that resigned, partitions that changed hands);
//! whoever misses it looks by itself.
//!
//! # What must hold
//!
//! - **The row is the truth, messages are hints.** Losing any message between actors costs time, never a task: every
//!   actor also looks by itself.
//! - **One claim, one transaction, one epoch.** A claim is refused by the *database* when its epoch is not the fence's
//!   any more. The flag in [`actors::master_resolver`] only spares useless work.
//! - **A pause holds from its answer on.** It changes the fence's row, which a claim reads: the claim of a master that has not
//!   read the pauses since is refused ([`store::Store::claim_under`]). What comes due meanwhile is parked at the end of time and let
//!   go at a pace, and so is what had come due before a resume and was not parked yet ([`domain::pause`], [`domain::pace`]).
//! - **No start record, no call.** And a generation that is not `alive` gets no start record: so what it gives back and
//!   what it starts exclude each other, and a recovery that has marked it dead knows all that it can ever have started.
//! - **An outcome is bound to (id, `claim_no`, owner).** Repeats and latecomers change nothing that is not theirs.
//! - **Legal steps stand in one table**, [`domain::state::TRANSITIONS`].
//! - **Shared decisions are taken by the database's clock**; a node's wall clock is never compared with another's. Only
//!   [`clock`] reads clocks.
//! - **Nothing blocks an actor's thread**: the store is called on blocking threads ([`actors::blocking`], [`actors::OwnThread`]).
//!
//! # Lives
//!
//! A *node* is one process. Its [`actors::supervisor`] builds the other five actors as one *set*; each set is a new
//! *generation* with its own fence, heartbeat and claims. When an actor ends or stalls, the whole set is replaced. Calls
//! in flight are outside the actors and end under the old generation, which is `draining` until then, so that a panic
//! elsewhere makes no task `unknown`. [`node`] builds all of it and drains it at a stop: readiness red, no new
//! submissions, ingest drained, Dispatcher stopped, mastership resigned, generation `draining`, unstarted claims given
//! back, calls ended (up to a deadline), outcomes written.
//!
//! # Modules, in the order of their dependencies
//!
//! `domain ◀ clock, config, metrics ◀ store, queue, targets ◀ actors ◀ api ◀ dashboard ◀ node ◀ cli`; `tests/tidy.rs`
//! checks it.

pub mod domain;

pub mod clock;
pub mod config;
pub mod metrics;

pub mod queue;
pub mod store;
pub mod targets;

pub mod actors;

pub mod api;
pub mod dashboard;

pub mod node;

pub mod cli;
