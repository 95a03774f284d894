//! The paper and the pens: what a picture is drawn with, in pixels of its view box.

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontFamily, FontStyle, RGBColor, TextStyle};

/// Text and plain lines.
pub const INK: RGBColor = RGBColor(0x01, 0x01, 0x01);
/// Lines that may be overlooked.
pub const FAINT: RGBColor = RGBColor(0x02, 0x02, 0x02);
/// As it should be.
pub const GOOD: RGBColor = RGBColor(0x0a, 0x0a, 0x01);
/// Worth a look.
pub const WARN: RGBColor = RGBColor(0x0a, 0x0a, 0x02);
/// Wrong.
pub const BAD: RGBColor = RGBColor(0x0a, 0x0a, 0x03);
/// The first series.
pub const ACCENT: RGBColor = RGBColor(0x0a, 0x0a, 0x04);
/// The second series.
pub const SECOND: RGBColor = RGBColor(0x0a, 0x0a, 0x05);
/// Text on a filled block.
pub const PAPER: RGBColor = RGBColor(0x0a, 0x0a, 0x06);

/// How wide every picture is.
pub const WIDTH: u32 = 640;
/// However little something is, or short: with so many pixels one sees that it is there.
pub const LEAST: i32 = 3;
/// How high a text is.
const TEXT: f64 = 16.0;
/// plotters divides a text's size by this as it writes it.
const WRITTEN: f64 = 1.24;

/// Across and down, in pixels.
pub type Place = (i32, i32);

/// A picture that is being drawn. Nothing here fails: it is all written to a string.
pub struct Sheet<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// A picture of this height, with this text for who cannot see it.
pub fn picture(label: &str, height: u32, draw: impl FnOnce(&Sheet<'_>)) -> Markup {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        // The end of the SVG is written when the sheet is dropped.
        draw(&Sheet { area });
    }
    html! {
        svg.picture role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " " (height) } { (PreEscaped(inside(&svg))) }
    }
}

/// An empty frame that says why it is empty.
pub fn nothing(label: &str, height: u32, why: &str) -> Markup {
    picture(label, height, |sheet| {
        let (right, bottom) = sheet.end();
        sheet.frame((1, 1), (right - 1, bottom - 1), FAINT, 1);
        sheet.text((right / 2, bottom / 2), HPos::Center, INK, why);
    })
}

/// What stands in plotters' `<svg …>`, without what goes without saying. Its quotes and brackets are never those of a text,
/// which are escaped.
fn inside(svg: &str) -> String {
    let body = svg.split_once(">\n").map_or("", |(_, body)| body).trim_end();
    let body = body.strip_suffix("</svg>").unwrap_or(body);
    body.replace(" opacity=\"1\"", "")
        .replace(" font-family=\"sans-serif\"", "")
        .replace(">\n", ">")
        .replace("\n</text>", "</text>")
}

impl Sheet<'_> {
    /// The lower right corner.
    pub fn end(&self) -> Place {
        let (across, down) = self.area.get_pixel_range();
        (across.end, down.end)
    }

    /// A filled rectangle.
    pub fn block(&self, from: Place, to: Place, ink: RGBColor) {
        let _ok = self.area.draw(&Rectangle::<Place>::new([from, to], ink.filled()));
    }

    /// An empty rectangle.
    pub fn frame(&self, from: Place, to: Place, ink: RGBColor, thick: u32) {
        let (start, next) = (from, (to.0, from.1));
        // The first side twice, so that all corners are joined.
        self.line(vec![start, next, to, (from.0, to.1), start, next], ink, thick);
    }

    /// A line from point to point.
    pub fn line(&self, points: Vec<Place>, ink: RGBColor, thick: u32) {
        let _ok = self.area.draw(&PathElement::<Place>::new(points, ink.stroke_width(thick)));
    }

    /// A filled shape with these corners.
    pub fn shape(&self, corners: Vec<Place>, ink: RGBColor) {
        let _ok = self.area.draw(&Polygon::<Place>::new(corners, ink.filled()));
    }

    /// A filled circle.
    pub fn dot(&self, middle: Place, radius: i32, ink: RGBColor) {
        let _ok = self.area.draw(&Circle::<Place, i32>::new(middle, radius, ink.filled()));
    }

    /// A text whose left end, middle or right end is there. Markup in it is escaped; what hides is the caller's to name.
    pub fn text(&self, at: Place, side: HPos, ink: RGBColor, text: &str) {
        let style = TextStyle::from((FontFamily::SansSerif, TEXT * WRITTEN));
        let _ok = self.area.draw_text(text, &style.color(&ink).pos(Pos::new(side, VPos::Center)), at);
    }

    /// The same, in bold letters.
    pub fn bold(&self, at: Place, side: HPos, ink: RGBColor, text: &str) {
        let style = TextStyle::from((FontFamily::SansSerif, TEXT * WRITTEN, FontStyle::Bold));
        let _ok = self.area.draw_text(text, &style.color(&ink).pos(Pos::new(side, VPos::Center)), at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pictures::tests::{checked, says};

    #[test]
    fn it_is_a_picture_with_a_text_for_who_cannot_see() {
        let svg = checked(nothing("A \"picture\" of <nothing>", 100, "nothing yet"));
        assert!(svg.contains("aria-label=\"A &quot;picture&quot; of &lt;nothing&gt;\""), "{svg}");
        assert!(svg.contains("viewBox=\"0 0 640 100\""), "{svg}");
        assert!(says(&svg, "nothing yet") && svg.contains("font-size=\"16\""), "{svg}");
    }

    #[test]
    fn a_text_is_no_markup() {
        let hostile = "</text></svg><script>alert('1')</script> opacity=\"1\"";
        let svg = checked(picture("A hostile text", 50, |sheet| sheet.text((320, 20), HPos::Center, INK, hostile)));
        let escaped =
            "&lt;/text&gt;&lt;/svg&gt;&lt;script&gt;alert(&apos;1&apos;)&lt;/script&gt; opacity=&quot;1&quot;";
        assert!(says(&svg, escaped), "{svg}");
    }

    #[test]
    fn every_shape_is_written_in_its_colour() {
        let svg = checked(picture("All the shapes", 100, |sheet| {
            sheet.block((1, 2), (11, 22), GOOD);
            sheet.line(vec![(0, 0), (5, 5)], ACCENT, 3);
            sheet.shape(vec![(0, 0), (5, 5), (0, 5)], BAD);
            sheet.dot((50, 50), 4, SECOND);
            sheet.bold((60, 60), HPos::Left, WARN, "!");
        }));
        for shape in [
            r##"<rect x="1" y="2" width="10" height="20" fill="#0A0A01""##,
            r##"<polyline fill="none" stroke="#0A0A04" stroke-width="3" points="0,0 5,5 ""##,
            r##"<polygon fill="#0A0A03" points="0,0 5,5 0,5 ""##,
            r##"<circle cx="50" cy="50" r="4" fill="#0A0A05""##,
            r##"fill="#0A0A02" font-weight="bold">!</text>"##,
        ] {
            assert!(svg.contains(shape), "{shape} in {svg}");
        }
    }
}
