//! Colours, where the terminal and its user want them.

/// How something looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Heading,
    /// As it should be.
    Good,
    /// On its way.
    Pending,
    /// Something to look at.
    Bad,
}

impl Style {
    /// Appends `text` in this style, or plainly where no colours are wanted.
    pub(crate) fn push(self, text: &str, colour: bool, line: &mut String) {
        // ECMA-48 §8.3.117 Select Graphic Rendition.
        let parameter = match self {
            Self::Plain => None,
            Self::Heading => Some("1"),
            Self::Good => Some("32"),
            Self::Pending => Some("33"),
            Self::Bad => Some("31"),
        };
        match parameter.filter(|_| colour && !text.is_empty()) {
            None => line.push_str(text),
            Some(parameter) => {
                for part in ["\x1b[", parameter, "m", text, "\x1b[0m"] {
                    line.push_str(part);
                }
            }
        }
    }

    /// `text` in this style.
    pub(crate) fn paint(self, text: &str, colour: bool) -> String {
        let mut line = String::new();
        self.push(text, colour, &mut line);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_those_who_want_them() {
        assert_eq!(Style::Bad.paint("terminate", true), "\x1b[31mterminate\x1b[0m");
        assert_eq!(Style::Bad.paint("terminate", false), "terminate");
        assert_eq!(Style::Plain.paint("x", true), "x");
        assert_eq!(Style::Heading.paint("", true), "");
    }
}
