//! A QR code (ISO/IEC 18004) of half blocks: two modules above each other are one character.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, which scanners need to find it.
const QUIET: usize = 4;
const INDENT: &str = "  ";

/// The picture of `text`; `None` when it does not fit the terminal's columns. With `color` it is dark on light whatever
/// the terminal's own colours are; without, the terminal is taken for light on dark.
pub(super) fn draw(text: &str, columns: usize, color: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (width, modules) = (code.width(), code.to_colors());
    let side = width + 2 * QUIET;
    if INDENT.len() + side > columns {
        return None;
    }
    let dark = |x: usize, y: usize| {
        let (x, y) = (x.checked_sub(QUIET), y.checked_sub(QUIET));
        match (x.filter(|x| *x < width), y) {
            (Some(x), Some(y)) => modules.get(y * width + x) == Some(&Color::Dark),
            _ => false,
        }
    };
    let mut picture = String::new();
    for y in (0..side).step_by(2) {
        picture.push_str(INDENT);
        if color {
            picture.push_str("\x1b[38;5;231;48;5;16m");
        }
        for x in 0..side {
            picture.push(match (dark(x, y), dark(x, y + 1)) {
                (false, false) => '█',
                (false, true) => '▀',
                (true, false) => '▄',
                (true, true) => ' ',
            });
        }
        picture.push_str(if color { "\x1b[0m\n" } else { "\n" });
    }
    Some(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://hoopctl-gateway.company.example.test:8443/device?user_code=WDJB-MJHT";

    #[test]
    fn an_address_fits_eighty_columns_and_nothing_narrower_is_torn() {
        let picture = draw(ADDRESS, 80, false).unwrap();
        let widths: Vec<usize> = picture.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0] && *width <= 80), "{widths:?}");
        assert!(widths.len() <= 24, "and a small window: {}", widths.len());
        assert_eq!(draw(ADDRESS, 30, false), None);
        assert_eq!(draw(&"x".repeat(10_000), 1000, false), None);
    }

    #[test]
    fn the_picture_is_the_code() {
        let code = QrCode::with_error_correction_level(ADDRESS, EcLevel::L).unwrap();
        let picture = draw(ADDRESS, 80, false).unwrap();
        let mut read = Vec::new();
        for line in picture.lines() {
            let line: Vec<char> = line.chars().skip(INDENT.len()).collect();
            read.push(line.iter().map(|c| " ▄".contains(*c)).collect::<Vec<_>>());
            read.push(line.iter().map(|c| " ▀".contains(*c)).collect::<Vec<_>>());
        }
        for y in 0..code.width() {
            for x in 0..code.width() {
                assert_eq!(read[y + QUIET][x + QUIET], code[(x, y)] == Color::Dark, "{x} {y}");
            }
        }
        assert!(read[..QUIET].iter().flatten().all(|dark| !dark), "light around it");
    }

    #[test]
    fn colours_do_not_depend_on_the_terminals() {
        assert!(
            draw(ADDRESS, 80, true)
                .unwrap()
                .lines()
                .all(|line| line.contains("48;5;16m") && line.ends_with("\x1b[0m"))
        );
    }
}
