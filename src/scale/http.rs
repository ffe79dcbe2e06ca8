//! `POST:8080/drain`: the request to a pod before it leaves. Pure.

use std::fmt;

use crate::workload::PodTemplate;

/// A request to a port of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: http::Method,
    pub https: bool,
    /// A number, or the name of a port in the template.
    port: String,
    pub path: String,
}

impl Request {
    /// Reads `[METHOD:][https:]PORT/PATH`; without a method it is a POST.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn parse(text: &str) -> Result<Request, String> {
        let (end, path) = text.split_once('/').unwrap_or((text, ""));
        let mut words: Vec<&str> = end.split(':').collect();
        let port = words.pop().unwrap_or_default();
        let https = words.pop_if(|word| *word == "https").is_some();
        let method = match words.as_slice() {
            [] | ["POST"] => http::Method::POST,
            ["GET"] => http::Method::GET,
            ["PUT"] => http::Method::PUT,
            ["PATCH"] => http::Method::PATCH,
            ["DELETE"] => http::Method::DELETE,
            _ => return Err(format!("{end:?} is not METHOD:PORT or METHOD:https:PORT")),
        };
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if port.is_empty() || !port.chars().all(is_word) {
            return Err(format!("{port:?} is no port: POST:8080/drain"));
        }
        Ok(Request { method, https, port: port.to_owned(), path: format!("/{path}") })
    }

    /// The number of the port. The API server resolves no port names of pods.
    ///
    /// # Errors
    /// When the template has no port of that name.
    pub fn port(&self, template: &PodTemplate) -> Result<String, String> {
        if self.port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(self.port.clone());
        }
        let port = template.port(&self.port);
        port.map(|port| port.to_string())
            .ok_or_else(|| format!("the template has no port {}", self.port))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https:" } else { "" };
        write!(f, "{}:{scheme}{}{}", self.method, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_as_they_are_written() {
        for text in ["POST:8080/drain", "GET:https:8443/a/b?c=d:e", "DELETE:admin/"] {
            assert_eq!(Request::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Request::parse("8080/x").unwrap().to_string(), "POST:8080/x");
        assert_eq!(Request::parse("https:8080").unwrap().to_string(), "POST:https:8080/");
        for wrong in ["", "/x", "POST:/x", "BREW:80/x", "POST:GET:80/x", "POST:80 80/x"] {
            assert!(Request::parse(wrong).is_err(), "{wrong}");
        }
    }
}
