//! How the page looks: in the light and in the dark, on a wide and on a narrow screen.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The style sheet.
pub const STYLE: &str = "\
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent);--link:light-dark(#0b57a4,#8ab8f0)}\
*{box-sizing:border-box}\
body{font:16px/1.55 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:1rem;overflow-wrap:anywhere}\
a{color:var(--link)}a:focus-visible,pre:focus-visible,summary:focus-visible{outline:3px solid var(--link);outline-offset:2px}\
.skip{position:absolute;left:-99rem}.skip:focus{position:static}\
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.5rem}h3{font-size:1.05rem}h4{font-size:.9rem;margin:1rem 0 .3rem}\
article{border-top:1px solid var(--line);padding:.5rem 0 1rem}\
:target{scroll-margin-top:1rem;background:color-mix(in srgb,var(--link) 9%,transparent)}\
a.self{color:inherit;text-decoration:none}a.self:hover{text-decoration:underline}\
.method{font:600 .85em ui-monospace,monospace;color:light-dark(#6b2fa0,#d0a8f5)}\
code,pre{font:.9em/1.5 ui-monospace,monospace}\
pre{border:1px solid var(--line);border-radius:.3rem;padding:.7rem;overflow-x:auto;overflow-wrap:normal}\
dl{margin:.2rem 0}dt{margin-top:.4rem}dd{margin:0 0 0 1.2rem}\
small{color:color-mix(in srgb,currentColor 75%,transparent)}\
nav h2{font-size:1rem;margin:1rem 0 .2rem}nav ul,ul.plain{list-style:none;margin:0;padding:0}nav li{padding:.1rem 0}\
@media(min-width:60rem){body{display:grid;grid-template-columns:19rem minmax(0,1fr);gap:0 2.5rem}\
header,.skip{grid-column:1/-1}nav{position:sticky;top:0;align-self:start;max-height:100vh;overflow-y:auto;font-size:.9rem}}";

/// Nothing but this very style sheet may be applied or loaded, whatever text gets onto the page.
pub fn policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
