//! What is measured, one file per figure.

pub mod browsers;
pub mod bulk;
pub mod callers;
pub mod cluster;
pub mod costs;
pub mod filled;
pub mod footprint;
pub mod hour;
pub mod idle;
pub mod kafka;
pub mod lateness;
pub mod listeners;
pub mod lists;
pub mod meter;
pub mod overview;
pub mod process;
pub mod retention;
pub mod singles;
pub mod steady;
pub mod throughput;

/// One figure against its bar.
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// As measured.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it must hold.
    pub bar: Bar,
    /// What it was made of.
    pub detail: String,
}

/// What a figure must hold.
pub enum Bar {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// Nothing: it is told beside those that must.
    None,
    /// Something, and it could not be measured.
    Missing,
}

impl Figure {
    /// It could not be measured, so it holds nothing.
    pub fn missing(name: &'static str, why: &str) -> Self {
        Self { name, value: f64::NAN, unit: "", bar: Bar::Missing, detail: format!("not measured: {why}") }
    }

    /// It holds its bar.
    pub fn holds(&self) -> bool {
        match self.bar {
            Bar::AtLeast(bar) => self.value >= bar,
            Bar::AtMost(bar) => self.value <= bar,
            Bar::None => true,
            Bar::Missing => false,
        }
    }

    /// One line of the report.
    pub fn line(&self) -> String {
        let bar = match self.bar {
            Bar::AtLeast(bar) => format!("bar ≥ {bar}; "),
            Bar::AtMost(bar) => format!("bar ≤ {bar}; "),
            Bar::None | Bar::Missing => String::new(),
        };
        let verdict = match self.bar {
            Bar::None => "INFO",
            _ if self.holds() => "PASS",
            _ => "FAIL",
        };
        format!("{verdict}  {:<44} {:>9.3} {:<5} ({bar}{})", self.name, self.value, self.unit, self.detail)
    }
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value below which a part `q` of the sorted values lies.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len() - 1;
    sorted[((last as f64) * q).round() as usize]
}
