//! Dead letters of a topic, looked at and submitted again over REST.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::SOON;
use crate::harness::Receiver;
use crate::harness::http::{self, Answer};
use crate::harness::node::until;
use crate::harness::on_topic::{OnTopic, received};

const BROKEN: &[u8] = &[0xff, 0x00, 0xfe];

fn letters(on: &OnTopic) -> Vec<Value> {
    let answer = http::get(&on.cluster.nodes[0].url("/v1/dead-letters")).json();
    answer["dead_letters"].as_array().unwrap().clone()
}

fn replay(on: &OnTopic, letter: &Value, body: &Value) -> Answer {
    http::post_json(&on.cluster.nodes[0].url(&format!("/v1/dead-letters/{}/replay", letter["id"])), body)
}

/// A record of a newer service, one that is no text, one of 1 MB, and one whose id another has.
#[test]
fn what_could_not_be_read_is_read_and_submitted_again() {
    let Some(on) = OnTopic::start(1) else { return };
    let receiver = Receiver::start();
    let hook = json!({"delay_ms": 0, "target": {"type": "http", "url": receiver.url("/")}});
    let (good, other) = (hook.to_string(), json!({"delay_ms": 1, "target": {"type": "log"}}).to_string());
    let ids = [(); 4].map(|()| Uuid::now_v7().to_string());
    let long_ago = json!({"run_at": "soon", "target": {"type": "http", "url": receiver.url("/")}}).to_string();
    let large = vec![b'x'; 1_048_577];
    let records: [&[u8]; 4] = [long_ago.as_bytes(), BROKEN, &large, good.as_bytes()];
    on.topic().put(ids.iter().zip(records).map(|(id, record)| (Some(id.as_str()), Some(record))));
    receiver.wait_for(1, SOON);
    on.topic().put([(Some(ids[3].as_str()), Some(other.as_bytes()))]);
    until("all of it is buried", SOON, || on.dead_letters() == 4);

    let all = letters(&on);
    let of = |says: &str| all.iter().find(|one| one["reason"].as_str().unwrap().contains(says)).unwrap();
    let (soon, broken, long, conflict) = (of("run_at"), of("the document is"), of("1048577 bytes"), of("conflict"));
    let whole = |letter: &Value| {
        http::get(&on.cluster.nodes[0].url(&format!("/v1/dead-letters/{}", letter["id"]))).json()["record"].clone()
    };
    assert_eq!(whole(soon), long_ago);
    assert_eq!(whole(broken), json!({"base64": "/wD+"}));
    assert_eq!(whole(long).as_str().unwrap().len(), large.len());
    assert_eq!(whole(conflict), other);
    for (letter, body, status) in [
        (soon, json!({}), 400),
        (broken, json!({}), 400),
        (long, json!({}), 413),
        (soon, json!({"record": {"delay_ms": 0}}), 400),
        (conflict, json!({"record": {"id": ids[3], "delay_ms": 1, "target": {"type": "log"}}}), 409),
    ] {
        let answer = replay(&on, letter, &body);
        assert_eq!(answer.status, status, "{}", answer.json());
    }
    assert_eq!(on.dead_letters(), 4, "all are as they were");

    for letter in [soon, broken, long] {
        let answer = replay(&on, letter, &json!({ "record": hook }));
        assert_eq!(answer.status, 202, "{}", answer.json());
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("location"), Some(format!("/v1/tasks/{id}").as_str()));
        assert_eq!(replay(&on, letter, &json!({ "record": hook })).status, 409, "once");
    }
    until("all are called", SOON, || received(&receiver).len() == 4);
    assert_eq!(on.dead_letters(), 1);
    let replayed = letters(&on).iter().filter(|one| one["replayed_at"].is_string()).count();
    assert_eq!(replayed, 3);

    // The topic read again from its beginning: no dead letter more, and no call.
    on.offsets(&["set", "--to", "beginning"]);
    on.settle(Duration::from_secs(20));
    assert_eq!((on.dead_letters(), letters(&on).len()), (1, 4));
    assert!(received(&receiver).values().all(|calls| *calls == 1));
}
