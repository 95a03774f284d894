//! Pictures for the pages: data in, an SVG out, drawn on the server by plotters. They are pure: no clock, no database.
//!
//! # Colours
//!
//! A picture is drawn in colours that only stand for a meaning, each never seen on a screen; the style sheet gives the
//! meaning its real colour, in the light and in the dark. plotters writes a colour as the value of the attribute `fill` or
//! `stroke`, always as `#` and six hexadecimal digits in *upper case*; what an attribute selector compares is exact here, so a
//! rule is written like that too: `svg.picture [fill="#0A0A01"] { fill: var(--good) }`.
//!
//! | meaning | name | in the SVG | used for |
//! | --- | --- | --- | --- |
//! | text and plain lines | [`sheet::INK`] | `#010101` | text, arrows, boxes: `fill` and `stroke` |
//! | lines that may be overlooked | [`sheet::FAINT`] | `#020202` | grids, ticks, frames: `stroke` only |
//! | as it should be | [`sheet::GOOD`] | `#0A0A01` | bars and blocks, with [`sheet::PAPER`] text on them: `fill` |
//! | worth a look | [`sheet::WARN`] | `#0A0A02` | bars: `fill`; text on the page: `fill` |
//! | wrong | [`sheet::BAD`] | `#0A0A03` | the same, arrows and text on the page: `fill`; frames and arrows: `stroke` |
//! | the first series | [`sheet::ACCENT`] | `#0A0A04` | as what should be: `fill`; lines: `stroke` |
//! | the second series | [`sheet::SECOND`] | `#0A0A05` | lines: `stroke`; dots: `fill` |
//! | the page's background | [`sheet::PAPER`] | `#0A0A06` | text on a filled block: `fill` |
//!
//! Nothing is told by colour alone, nothing is transparent. No font is named, so the page's is used; texts are 16 px high
//! where the picture is as wide as its view box, 640 px.

mod chart;
pub mod forecast;
pub mod lateness;
pub mod minutes;
mod sheet;
pub mod terms;
pub mod wiring;

#[cfg(test)]
mod tests {
    use maud::Markup;

    const COLOURS: [&str; 9] =
        ["none", "#010101", "#020202", "#0A0A01", "#0A0A02", "#0A0A03", "#0A0A04", "#0A0A05", "#0A0A06"];
    /// How wide a letter of 16 px is, on the average.
    const LETTER: i32 = 8;

    /// The value of an attribute of a tag.
    pub(super) fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()
    }

    /// What must hold of every picture; then its text.
    pub(super) fn checked(picture: Markup) -> String {
        let svg = picture.into_string();
        let head = svg.split('>').next().unwrap();
        assert_eq!(attribute(head, "class"), Some("picture"), "{head}");
        assert_eq!(attribute(head, "role"), Some("img"), "{head}");
        assert!(attribute(head, "aria-label").unwrap().len() > 10, "{head}");
        assert!(attribute(head, "width").is_none() && attribute(head, "height").is_none(), "{head}");
        let height: i32 = attribute(head, "viewBox").unwrap().strip_prefix("0 0 640 ").unwrap().parse().unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>") && svg.matches("<svg").count() == 1, "{svg}");
        for bad in ["style=", "opacity", "NaN", "\"inf", "-inf", "font-family", "script", " on"] {
            let tags: String = svg.split('>').filter_map(|part| part.split_once('<')).map(|(_, tag)| tag).collect();
            assert!(!tags.replace(attribute(head, "aria-label").unwrap(), "").contains(bad), "{bad} in {svg}");
        }
        for tag in svg.split('<').skip(2) {
            for colour in ["fill", "stroke"].into_iter().filter_map(|name| attribute(tag, name)) {
                assert!(COLOURS.contains(&colour), "{colour} in {tag}");
            }
            is_on_the_sheet(tag, height);
        }
        svg
    }

    fn is_on_the_sheet(tag: &str, height: i32) {
        let number = |name: &str| attribute(tag, name).map(|value| value.parse::<i32>().expect(tag));
        let x = number("x").into_iter().chain(number("cx"));
        let y = number("y").into_iter().chain(number("cy"));
        for x in x {
            assert!((0..=640).contains(&x) && x + number("width").unwrap_or(0) <= 640, "{tag}");
        }
        for y in y {
            assert!((0..=height).contains(&y) && y + number("height").unwrap_or(0) <= height, "{tag}");
        }
        assert!(number("width").is_none_or(|width| width > 0) && number("height").is_none_or(|tall| tall > 0), "{tag}");
        if tag.starts_with("text ") {
            let written =
                tag.split_once('>').unwrap().1.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">");
            let wide = i32::try_from(written.chars().count()).unwrap() * LETTER;
            let x = number("x").unwrap();
            let left = match attribute(tag, "text-anchor").unwrap() {
                "start" => x,
                "middle" => x - wide / 2,
                _ => x - wide,
            };
            assert!(left >= -LETTER && left + wide <= 640 + LETTER, "{written} is too wide: {tag}");
        }
    }

    /// How many shapes of this kind and colour there are.
    pub(super) fn shapes(svg: &str, kind: &str, colour: &str) -> usize {
        let of_kind = svg.split('<').filter(|tag| tag.starts_with(&format!("{kind} ")));
        of_kind.filter(|tag| [attribute(tag, "fill"), attribute(tag, "stroke")].contains(&Some(colour))).count()
    }

    /// Something like this is written in it.
    pub(super) fn says(svg: &str, text: &str) -> bool {
        svg.contains(&format!(">{text}</text>"))
    }
}
