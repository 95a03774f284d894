use actix_web as _;
use diesel as _;
use diesel_migrations as _;
use hyper_tls as _;
use pq_sys as _;
use rdkafka as _;
use ureq as _;
fn main() {
    println!("hi");
}
