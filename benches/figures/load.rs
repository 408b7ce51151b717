//! Requests as fast as they are answered, made by wrk, which takes less of the processor than the server it loads.

use std::process::Command;

/// What wrk saw.
pub struct Load {
    /// Requests a second.
    pub rate: f64,
    /// All of them.
    pub requests: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
}

/// Whether it is there; else what to do about it.
pub fn missing() -> Option<&'static str> {
    let found = Command::new("wrk").arg("--version").output().is_ok();
    (!found).then_some("wrk is not installed (apt-get install wrk)")
}

/// Loads `url` for two seconds over `connections`, with a `POST` of `body` where there is one. Any answer but a success ends the bench.
pub fn load(url: &str, connections: usize, body: Option<&str>) -> Load {
    load_as(url, connections, body, None)
}

/// The same for whoever shows that key.
pub fn load_as(url: &str, connections: usize, body: Option<&str>, key: Option<&str>) -> Load {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("load.lua");
    let request = body.map_or_else(String::new, |body| {
        format!("wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\nwrk.body = [==[{body}]==]\n")
    });
    let request = key.map_or_else(String::new, |key| format!("wrk.headers[\"X-API-Key\"] = \"{key}\"\n")) + request.as_str();
    let report = "function done(summary, latency, requests)\n\
                  io.write(string.format(\"FIGURES %d %d %d %d %d\\n\", summary.requests, summary.duration, latency:percentile(50), \
                  latency:percentile(99), summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))\n\
                  end\n";
    std::fs::write(&script, request + report).unwrap();
    let connections = connections.to_string();
    let arguments = ["-t1", "-c", &connections, "-d2s", "-s", script.to_str().unwrap(), url];
    let done = Command::new("wrk").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let figures = said.lines().find_map(|line| line.strip_prefix("FIGURES ")).unwrap_or_else(|| panic!("wrk said no figures: {said}"));
    let numbers: Vec<f64> = figures.split(' ').map(|number| number.trim().parse().unwrap()).collect();
    let [requests, duration, p50, p99, errors] = numbers[..] else { panic!("{figures}") };
    assert!(errors == 0.0 && requests > 0.0, "{url}: {errors} of {requests} requests failed:\n{said}");
    Load { rate: requests / (duration / 1e6), requests, p50: p50 / 1e3, p99: p99 / 1e3 }
}
