//! What a request to the gateway is: a call of FC's own invoke API, or an HTTP trigger's.

use hyper::{HeaderMap, Method};

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Anything that is not the API: the function's own path.
    Http,
    /// The API's `InvokeFunction`; services exist until FC 2.0.
    Invoke { service: String, function: String },
}

/// `X-Fc-Invocation-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Sync,
    Async,
}

/// `X-Fc-Log-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    Wanted,
    Unwanted,
}

pub(crate) fn route(method: &Method, path: &str) -> Route {
    if method != Method::POST {
        return Route::Http;
    }
    let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let (service, function) = match segments[..] {
        ["2023-03-30", "functions", function, "invocations"] => ("", function),
        [
            "2016-08-15" | "2021-04-06",
            "services",
            service,
            "functions",
            function,
            "invocations",
        ] => (service, function),
        _ => return Route::Http,
    };
    // `service.qualifier` names a version or an alias.
    let service = service
        .split_once('.')
        .map_or(service, |(service, _)| service);
    Route::Invoke {
        service: service.to_owned(),
        function: function.to_owned(),
    }
}

pub(crate) fn wait(headers: &HeaderMap) -> Wait {
    if is(headers, "x-fc-invocation-type", "async") {
        Wait::Async
    } else {
        Wait::Sync
    }
}

pub(crate) fn tail(headers: &HeaderMap) -> Tail {
    if is(headers, "x-fc-log-type", "tail") {
        Tail::Wanted
    } else {
        Tail::Unwanted
    }
}

fn is(headers: &HeaderMap, name: &str, value: &str) -> bool {
    headers
        .get(name)
        .is_some_and(|found| found.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, path: &str, want: Option<(&str, &str)>) {
        let want = want.map_or(Route::Http, |(service, function)| Route::Invoke {
            service: service.to_owned(),
            function: function.to_owned(),
        });
        assert_eq!(route(method, path), want, "{path}");
    }

    #[test]
    fn the_api_is_told_from_the_functions_own_paths() {
        check(
            &Method::POST,
            "/2023-03-30/functions/hello/invocations",
            Some(("", "hello")),
        );
        let legacy = "/2016-08-15/services/demo.LATEST/functions/hello/invocations";
        check(&Method::POST, legacy, Some(("demo", "hello")));
        check(
            &Method::GET,
            "/2023-03-30/functions/hello/invocations",
            None,
        );
        check(
            &Method::POST,
            "/2023-03-30/functions/hello/invocations/1",
            None,
        );
        check(&Method::POST, "/2016-08-15/proxy/demo/hello/", None);
        check(&Method::POST, "/invoke", None);
        check(&Method::POST, "/", None);
    }

    #[test]
    fn control_headers() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            (wait(&headers), tail(&headers)),
            (Wait::Sync, Tail::Unwanted)
        );
        headers.insert("x-fc-invocation-type", "Async".parse().unwrap());
        headers.insert("x-fc-log-type", "Tail".parse().unwrap());
        assert_eq!(
            (wait(&headers), tail(&headers)),
            (Wait::Async, Tail::Wanted)
        );
    }
}
