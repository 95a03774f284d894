//! A record byte by byte, as no client library would write it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Puts one record on the first partition of a topic; `header` is the name of its only header.
pub fn put(broker: SocketAddr, topic: &str, (key, value): (&[u8], &[u8]), header: &[u8]) {
    let records = batch(&record(key, value, header));
    let mut request = Vec::new();
    // Produce, version 3; correlation id; no client id; no transaction; all copies; within so many milliseconds.
    request.extend([0, 0, 0, 3, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0x27, 0x10]);
    request.extend(1_i32.to_be_bytes());
    request.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
    request.extend(topic.as_bytes());
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes());
    request.extend(i32::try_from(records.len()).unwrap().to_be_bytes());
    request.extend(records);
    let mut stream = TcpStream::connect(broker).unwrap();
    stream.write_all(&i32::try_from(request.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&request).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    // Behind the correlation id, one topic's name, one partition's number.
    let error = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[error..error + 2], [0, 0], "{answer:?}");
}

fn batch(record: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    // No compression; one record; its time, twice; no producer's id, epoch, sequence.
    body.extend(0_i16.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend([1_700_000_000_000_i64.to_be_bytes(); 2].concat());
    body.extend([0xff; 8 + 2 + 4]);
    body.extend(1_i32.to_be_bytes());
    body.extend(record);
    let mut batch = Vec::new();
    batch.extend(0_i64.to_be_bytes());
    batch.extend((4 + 1 + 4 + i32::try_from(body.len()).unwrap()).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend(crc32c(&body).to_be_bytes());
    batch.extend(body);
    batch
}

fn record(key: &[u8], value: &[u8], header: &[u8]) -> Vec<u8> {
    // Attributes, and nothing between its time and offset and those of the batch.
    let mut body = vec![0, 0, 0];
    for part in [key, value] {
        body.extend(varint(part.len()));
        body.extend(part);
    }
    body.extend(varint(1));
    for part in [header, b"x"] {
        body.extend(varint(part.len()));
        body.extend(part);
    }
    [varint(body.len()), body].concat()
}

fn varint(n: usize) -> Vec<u8> {
    let (mut rest, mut bytes) = (n * 2, Vec::new());
    while rest >= 0x80 {
        bytes.push((rest % 0x80) as u8 | 0x80);
        rest /= 0x80;
    }
    bytes.push(rest as u8);
    bytes
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
