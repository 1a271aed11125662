# Varnish 7.1 or later in front of the gateways, behind something that speaks TLS and PROXY protocol: hitch, by the
# configuration beside this one. It caches nothing of the gateways: it is here where a site has Varnish anyway.
# To change: the name, the gateways. Varnish must be started with
#
#   varnishd -a :80 -a 127.0.0.1:6086,PROXY -f /etc/varnish/live-comments.vcl \
#     -p feature=+http2 -p thread_pool_max=10000
#
# A viewer holds two threads for as long as it watches: 10,000 in each of two pools are for 10,000 viewers. From 7.2 add
# `-p transit_buffer=64k`: a viewer that reads slowly then makes the gateway wait, and does not fill Varnish's memory.
vcl 4.1;

import directors;
import std;

probe ready {
    .url = "/readyz";
    .interval = 1s;
    .timeout = 2s;
    .window = 1;
    .threshold = 1;
    .initial = 1;
}

# A stream has no end, but something comes over it every 15 s: 60 s of nothing is a dead line.
backend gateway_1 {
    .host = "127.0.0.1";
    .port = "8080";
    .probe = ready;
    .connect_timeout = 2s;
    .first_byte_timeout = 60s;
    .between_bytes_timeout = 60s;
}
backend gateway_2 {
    .host = "127.0.0.1";
    .port = "8090";
    .probe = ready;
    .connect_timeout = 2s;
    .first_byte_timeout = 60s;
    .between_bytes_timeout = 60s;
}

sub vcl_init {
    new gateways = directors.round_robin();
    gateways.add_backend(gateway_1);
    gateways.add_backend(gateway_2);
}

sub vcl_recv {
    # The gateways do not read `GET https://live.example.com/path`, which HTTP also allows.
    set req.url = regsub(req.url, "^https?://[^/]*", "");
    if (std.port(local.ip) == 80) {
        return (synth(301));
    }
    # Set, not appended to: what a stranger claims about its address ends here.
    set req.http.X-Forwarded-For = client.ip;
    set req.http.X-Forwarded-Proto = "https";
    unset req.http.Forwarded;
    if (req.method ~ "^(POST|PUT|DELETE)$") {
        # Who sends slowly holds nothing of a gateway: a post is passed on when it is whole, and may be sent again.
        if (!std.cache_req_body(16KB)) {
            return (synth(413));
        }
        # A post, or what a moderator does, gets a key if the client gave none, so that it is stored once even if it is
        # sent twice.
        if (!req.http.Idempotency-Key) {
            set req.http.Idempotency-Key = "varnish-" + req.xid + "-" + regsuball(now + std.random(0, 1000000000), "[^0-9]", "");
        }
    }
    if (req.http.Upgrade ~ "(?i)^websocket$") {
        return (pipe);
    }
    return (pass);
}

# A WebSocket is asked for by these two, which Varnish does not pass on by itself.
sub vcl_pipe {
    set bereq.backend = gateways.backend();
    set bereq.http.Upgrade = req.http.Upgrade;
    set bereq.http.Connection = "upgrade";
}

sub vcl_backend_fetch {
    set bereq.backend = gateways.backend();
}

# What Varnish can say without a gateway. EventSource gives up for ever on anything but 200: a stream is told to come back,
# each viewer at a time of its own. A post may have been stored by a gateway that died over it.
sub vcl_backend_error {
    if (bereq.retries < 2) {
        return (retry);
    }
    unset beresp.http.Server;
    set beresp.http.Cache-Control = "no-store";
    if (bereq.http.Origin) {
        set beresp.http.Access-Control-Allow-Origin = bereq.http.Origin;
        set beresp.http.Access-Control-Allow-Credentials = "true";
    }
    set beresp.http.Content-Type = "application/json";
    if (bereq.method ~ "^(POST|PUT|DELETE)$") {
        set beresp.status = 504;
        set beresp.body = """{"error":{"code":"OUTCOME_UNKNOWN","message":"the comment may have been stored: a retry with the same Idempotency-Key reveals the outcome","idempotencyKey":"""
            + {"""} + regsuball(bereq.http.Idempotency-Key, "[^\w.:~-]", "") + {"""} + "}}";
    } else if (bereq.http.Accept ~ "(?i)text/event-stream") {
        set beresp.status = 200;
        set beresp.http.Content-Type = "text/event-stream";
        set beresp.body = "retry: " + std.integer(real = std.random(1500, 4500)) + {"
"};
    } else {
        set beresp.status = 503;
        set beresp.body = """{"error":{"code":"UNAVAILABLE","message":"no gateway can be reached"}}""";
    }
    return (deliver);
}

sub vcl_synth {
    if (resp.status == 301) {
        set resp.http.Location = "https://live.example.com" + req.url;
        set resp.body = "";
        return (deliver);
    }
}

sub vcl_deliver {
    unset resp.http.X-Varnish;
    unset resp.http.Via;
    unset resp.http.Age;
}
