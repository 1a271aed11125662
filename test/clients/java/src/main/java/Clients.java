import com.launchdarkly.eventsource.ConnectStrategy;
import com.launchdarkly.eventsource.ErrorStrategy;
import com.launchdarkly.eventsource.EventSource;
import com.launchdarkly.eventsource.FaultEvent;
import com.launchdarkly.eventsource.MessageEvent;
import com.launchdarkly.eventsource.StreamClosedByServerException;
import com.launchdarkly.eventsource.StreamEvent;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.sse.EventSourceListener;
import okhttp3.sse.EventSources;

/** One stream client of Maven Central: `Clients NAME URL ENCODING`. Prints a line of JSON for each thing that it sees. */
public final class Clients {
  private static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : (text == null ? "" : text).toCharArray()) {
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c < 0x20) out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    return out.append('"').toString();
  }

  private static synchronized void say(String line) {
    System.out.println(line);
  }

  private static void saw(String event, String id, String data) {
    say("{\"event\":" + quoted(event == null || event.isEmpty() ? "message" : event) + ",\"id\":" + quoted(id) + ",\"data\":" + quoted(data) + "}");
  }

  private static void ended() {
    say("{\"end\":true}");
  }

  private static void failed(String text) {
    say("{\"error\":" + quoted(text) + "}");
  }

  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "okhttp-sse" -> okhttp(args[1], args[2]);
      case "okhttp-eventsource" -> launchDarkly(args[1], args[2]);
      default -> jdk(args[1], args[2]);
    }
  }

  /** OkHttp asks for gzip by itself and decodes it, unless told what to accept. It does not come back by itself. */
  private static void okhttp(String url, String encoding) throws Exception {
    OkHttpClient client = new OkHttpClient.Builder().readTimeout(60, TimeUnit.SECONDS).build();
    AtomicReference<String> last = new AtomicReference<>();
    for (;;) {
      Request.Builder request = new Request.Builder().url(url).header("Accept", "text/event-stream");
      if (!encoding.equals("gzip")) request.header("Accept-Encoding", encoding);
      if (last.get() != null) request.header("Last-Event-ID", last.get());
      CountDownLatch over = new CountDownLatch(1);
      EventSources.createFactory(client).newEventSource(request.build(), new EventSourceListener() {
        @Override public void onEvent(okhttp3.sse.EventSource source, String id, String type, String data) {
          if (id != null) last.set(id);
          saw(type, id, data);
        }

        @Override public void onClosed(okhttp3.sse.EventSource source) {
          ended();
          over.countDown();
        }

        @Override public void onFailure(okhttp3.sse.EventSource source, Throwable error, Response response) {
          failed(error == null ? "status " + response.code() : error.toString());
          over.countDown();
        }
      });
      over.await();
      Thread.sleep(500);
    }
  }

  private static void launchDarkly(String url, String encoding) throws Exception {
    ConnectStrategy connect = ConnectStrategy.http(URI.create(url)).header("Accept-Encoding", encoding);
    if (encoding.equals("gzip")) connect = ConnectStrategy.http(URI.create(url));
    try (EventSource source = new EventSource.Builder(connect).errorStrategy(ErrorStrategy.alwaysContinue()).retryDelay(500, TimeUnit.MILLISECONDS).build()) {
      for (StreamEvent event : source.anyEvents()) {
        if (event instanceof MessageEvent message) saw(message.getEventName(), message.getLastEventId(), message.getData());
        else if (event instanceof FaultEvent fault) {
          if (fault.getCause() instanceof StreamClosedByServerException) ended();
          else failed(fault.getCause().toString());
        }
      }
    }
  }

  /** The JDK's own client, which decodes nothing, read by lines. */
  private static void jdk(String url, String encoding) throws Exception {
    HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    String last = null;
    for (;;) {
      HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).header("Accept", "text/event-stream").header("Accept-Encoding", encoding);
      if (last != null) request.header("Last-Event-ID", last);
      try {
        var response = client.send(request.build(), HttpResponse.BodyHandlers.ofLines());
        if (response.statusCode() != 200) throw new IllegalStateException("status " + response.statusCode());
        String event = null, id = null, data = null;
        for (String line : (Iterable<String>) response.body()::iterator) {
          if (line.startsWith("event: ")) event = line.substring(7);
          else if (line.startsWith("id: ")) id = last = line.substring(4);
          else if (line.startsWith("data: ")) data = line.substring(6);
          else if (line.isEmpty()) {
            saw(event, id, data);
            event = id = data = null;
          }
        }
        ended();
      } catch (Exception error) {
        failed(error.toString());
      }
      Thread.sleep(500);
    }
  }
}
