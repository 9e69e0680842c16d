// Publish a version from Java, and verify events. It needs kafka-clients and jackson-databind, both among
// Kafka's own libraries:
//
//   java -cp 'kafka/libs/*' examples/java/Publish.java publish MODEL FILE METADATA.json
//   java -cp 'kafka/libs/*' examples/java/Publish.java vectors schemas/vectors
//
// The rules are in docs/from-any-language.md.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.temporal.ChronoField;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Comparator;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

public class Publish {
  static final ObjectMapper JSON = new ObjectMapper();
  static final String PAYLOAD_TYPE = "https://cloudevents.io/verifiability/dsse/v0.1";
  static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "publish" -> publish(args[1], Path.of(args[2]), Path.of(args[3]));
      case "vectors" -> vectors(Path.of(args[1]));
      default -> throw new IllegalArgumentException("publish MODEL FILE METADATA.json, or vectors FOLDER");
    }
  }

  // ---- Keys: {"key_id", "subject", "seed"}; the seed is 32 bytes in Base64, and DER needs a fixed head.

  record Key(String id, String subject, PrivateKey secret) {}

  static Key readKey(JsonNode file) throws Exception {
    byte[] seed = Base64.getDecoder().decode(file.get("seed").asText());
    byte[] der = join(HexFormat.of().parseHex("302e020100300506032b657004220420"), seed);
    PrivateKey secret = KeyFactory.getInstance("Ed25519").generatePrivate(new PKCS8EncodedKeySpec(der));
    return new Key(file.get("key_id").asText(), file.get("subject").asText(), secret);
  }

  static PublicKey publicKey(String hex) throws Exception {
    byte[] der = HexFormat.of().parseHex("302a300506032b6570032100" + hex);
    return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(der));
  }

  // ---- Digests.

  static byte[] sha256(byte[] bytes) throws Exception {
    return MessageDigest.getInstance("SHA-256").digest(bytes);
  }

  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static byte[] join(byte[]... parts) throws IOException {
    var all = new ByteArrayOutputStream();
    for (byte[] part : parts) all.write(part);
    return all.toByteArray();
  }

  record Stored(String path, long size, String sha256) {}

  /** The text that is hashed: RFC 8785, files sorted by the code points of their paths. */
  static String manifest(List<Stored> files) throws IOException {
    var sorted = new ArrayList<>(files);
    sorted.sort(Comparator.comparing((Stored f) -> f.path().codePoints().toArray(), Arrays::compare));
    var entries = new ArrayList<String>();
    for (Stored f : sorted) {
      entries.add("{\"path\":" + JSON.writeValueAsString(f.path())
          + ",\"sha256\":\"" + f.sha256() + "\",\"size\":" + f.size() + "}");
    }
    return "{\"files\":[" + String.join(",", entries) + "]}";
  }

  static String artifactDigest(List<Stored> files) throws Exception {
    return "sha256:" + HexFormat.of().formatHex(sha256(utf8(manifest(files))));
  }

  // ---- Signatures.

  /** The 32 signed bytes. An attribute that is not set is "". */
  static byte[] material(Map<String, String> attributes, byte[] data, List<String> extensions) throws Exception {
    var all = new ByteArrayOutputStream();
    for (String name : List.of("id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time")) {
      all.write(sha256(utf8(attributes.getOrDefault(name, ""))));
    }
    all.write(sha256(data));
    for (String name : extensions) {
      all.write(sha256(utf8(name)));
      all.write(sha256(utf8(attributes.get(name))));
    }
    return sha256(all.toByteArray());
  }

  static byte[] preAuthentication(byte[] body) throws IOException {
    String head = "DSSEv1 " + utf8(PAYLOAD_TYPE).length + " " + PAYLOAD_TYPE + " " + body.length + " ";
    return join(utf8(head), body);
  }

  /** Adds dssematerial and signedextattrs. Every extension attribute is signed. */
  static void sign(Map<String, String> attributes, byte[] data, Key key) throws Exception {
    var core = Set.of("id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time");
    var extensions = attributes.keySet().stream().filter(name -> !core.contains(name)).sorted().toList();
    byte[] payload = material(attributes, data, extensions);
    Signature signer = Signature.getInstance("Ed25519");
    signer.initSign(key.secret());
    signer.update(preAuthentication(payload));
    ObjectNode envelope = JSON.createObjectNode();
    envelope.put("payload", Base64.getEncoder().encodeToString(payload)).put("payloadType", PAYLOAD_TYPE);
    envelope.putArray("signatures").addObject()
        .put("keyid", key.id()).put("sig", Base64.getEncoder().encodeToString(signer.sign()));
    if (!extensions.isEmpty()) attributes.put("signedextattrs", String.join(",", extensions));
    attributes.put("dssematerial", Base64.getEncoder().encodeToString(JSON.writeValueAsBytes(envelope)));
  }

  /** Returns why the event of a record is not what the key signed, or "". */
  static String verify(Map<String, String> headers, byte[] data, String recordKey, PublicKey key) throws Exception {
    var attributes = new TreeMap<String, String>();
    headers.forEach((name, value) -> {
      if (name.startsWith("ce_")) attributes.put(name.substring(3), value);
    });
    String contentType = headers.get("content-type");
    if (contentType != null && !contentType.equals(attributes.getOrDefault("datacontenttype", contentType))) {
      return "content-type and ce_datacontenttype differ";
    }
    if (contentType != null) attributes.put("datacontenttype", contentType);
    String listed = attributes.getOrDefault("signedextattrs", "");
    List<String> signed = listed.isEmpty() ? List.of() : List.of(listed.split(","));
    if (signed.contains("partitionkey")) attributes.putIfAbsent("partitionkey", recordKey);
    var unsigned = new HashSet<>(attributes.keySet());
    unsigned.removeAll(signed);
    unsigned.removeAll(Set.of("id", "source", "specversion", "type", "datacontenttype", "dataschema",
        "subject", "time", "dssematerial", "signedextattrs"));
    if (!unsigned.isEmpty()) return "extension attributes are not signed: " + unsigned;
    if (!attributes.keySet().containsAll(signed)) return "signed extension attributes are missing";

    JsonNode envelope = JSON.readTree(Base64.getDecoder().decode(attributes.get("dssematerial")));
    byte[] payload = Base64.getDecoder().decode(envelope.get("payload").asText());
    Signature verifier = Signature.getInstance("Ed25519");
    verifier.initVerify(key);
    verifier.update(preAuthentication(payload));
    byte[] signature = Base64.getDecoder().decode(envelope.get("signatures").get(0).get("sig").asText());
    if (!verifier.verify(signature)) return "the signature does not verify with the key";
    if (Arrays.equals(material(attributes, data, signed), payload)) return "";
    attributes.put("time", inUtc(attributes.get("time")));
    return Arrays.equals(material(attributes, data, signed), payload) ? "" : "the event was altered";
  }

  static final DateTimeFormatter UTC_FORM = new DateTimeFormatterBuilder()
      .appendPattern("uuuu-MM-dd'T'HH:mm:ss").appendFraction(ChronoField.NANO_OF_SECOND, 0, 9, true)
      .appendLiteral('Z').toFormatter();

  /** The form of the extension: UTC with Z, no zeros at the end of the fraction. */
  static String inUtc(String time) {
    return UTC_FORM.format(OffsetDateTime.parse(time.toUpperCase()).withOffsetSameInstant(ZoneOffset.UTC));
  }

  // ---- Publishing: upload over HTTP, send the signed event to Kafka, wait for the outcome over HTTP.

  static String env(String name) {
    String value = System.getenv("REGISTA_" + name);
    return value == null ? "" : value;
  }

  static JsonNode send(HttpRequest.Builder request) throws Exception {
    request.header("Authorization", "Bearer " + env("API_KEY"));
    HttpResponse<String> answer = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
    if (answer.statusCode() == 404) return null;
    if (answer.statusCode() >= 300) throw new IOException(answer.statusCode() + " " + answer.body());
    return JSON.readTree(answer.body());
  }

  static void publish(String model, Path file, Path metadata) throws Exception {
    Key key = readKey(JSON.readTree(Path.of(env("KEY_FILE")).toFile()));
    JsonNode urls = send(HttpRequest.newBuilder(URI.create(env("URL") + "/.well-known/regista")));
    String artifacts = (urls.has("services") ? urls.get("services") : urls).get("artifact").asText();
    String name = URLEncoder.encode(file.getFileName().toString(), StandardCharsets.UTF_8);
    JsonNode uploaded = send(HttpRequest.newBuilder(URI.create(artifacts + "/v1/uploads?name=" + name))
        .header("Content-Type", "application/octet-stream")
        .header("Idempotency-Key", UUID.randomUUID().toString())
        .POST(HttpRequest.BodyPublishers.ofFile(file)));
    String hash = HexFormat.of().formatHex(sha256(Files.readAllBytes(file)));
    if (!hash.equals(uploaded.get("sha256").asText())) throw new IOException("other bytes arrived");
    var stored = List.of(new Stored(file.getFileName().toString(), Files.size(file), hash));

    ObjectNode data = (ObjectNode) JSON.readTree(metadata.toFile());
    data.put("model", model);
    ObjectNode artifact = data.putObject("artifact");
    artifact.put("digest", artifactDigest(stored)).put("location", uploaded.get("location").asText());
    artifact.putArray("files").addObject()
        .put("path", stored.get(0).path()).put("size", stored.get(0).size()).put("sha256", hash);
    byte[] value = JSON.writeValueAsBytes(data);

    String id = UUID.randomUUID().toString();
    var attributes = new TreeMap<String, String>();
    attributes.put("id", id);
    attributes.put("source", "/publishers/" + key.subject());
    attributes.put("specversion", "1.0");
    attributes.put("type", "regista.ModelTrained.v1");
    attributes.put("datacontenttype", "application/json");
    attributes.put("subject", model);
    attributes.put("time", Instant.now().toString());
    attributes.put("partitionkey", model);
    sign(attributes, value, key);

    var record = new ProducerRecord<>("regista.training.v1", utf8(model), value);
    attributes.forEach((attribute, text) -> record.headers().add(
        attribute.equals("datacontenttype") ? "content-type" : "ce_" + attribute, utf8(text)));
    try (var producer = new KafkaProducer<byte[], byte[]>(producerSettings())) {
      producer.initTransactions();
      producer.beginTransaction();
      producer.send(record);
      producer.commitTransaction();
    }
    URI outcome = URI.create(env("URL") + "/v1/publications/" + id + "?publisher="
        + URLEncoder.encode(key.subject(), StandardCharsets.UTF_8));
    JsonNode answer = null;
    for (int n = 0; n < 240 && answer == null; n++) {
      Thread.sleep(250);
      answer = send(HttpRequest.newBuilder(outcome));
    }
    System.out.println(answer == null ? "no outcome yet" : JSON.writeValueAsString(answer));
  }

  static Properties producerSettings() {
    var settings = new Properties();
    settings.putAll(Map.of(
        "bootstrap.servers", env("KAFKA_BOOTSTRAP"),
        "security.protocol", env("KAFKA_SECURITY"),
        "sasl.mechanism", "SCRAM-SHA-512",
        "sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required username=\""
            + env("KAFKA_USER") + "\" password=\"" + env("KAFKA_PASSWORD") + "\";",
        // Transactions are optional. The id begins with the user and a slash.
        "transactional.id", env("KAFKA_USER") + "/nightly",
        "max.request.size", "2097152",
        "compression.type", "gzip",
        "key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer",
        "value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer"));
    return settings;
  }

  // ---- The test vectors: prints what differs, then how many cases hold.

  static void vectors(Path folder) throws Exception {
    int held = 0;
    JsonNode keys = JSON.readTree(folder.resolve("keys.json").toFile());
    Key key = readKey(keys.get("file"));
    Signature signer = Signature.getInstance("Ed25519");
    signer.initSign(key.secret());
    signer.update(preAuthentication(utf8(keys.get("signed").get("body").asText())));
    held += holds("keys", Base64.getEncoder().encodeToString(signer.sign()), keys.get("signed").get("signature").asText());

    for (JsonNode one : JSON.readTree(folder.resolve("artifacts.json").toFile()).get("cases")) {
      var files = new ArrayList<Stored>();
      for (JsonNode f : one.get("files")) {
        files.add(new Stored(f.get("path").asText(), f.get("size").asLong(), f.get("sha256").asText()));
      }
      held += holds(one.get("name").asText(), manifest(files), one.get("hashed").asText());
      held += holds(one.get("name").asText(), artifactDigest(files), one.get("digest").asText());
    }

    JsonNode events = JSON.readTree(folder.resolve("events.json").toFile());
    PublicKey verifier = publicKey(events.get("public_key").asText());
    for (JsonNode one : events.get("cases")) {
      var headers = new TreeMap<String, String>();
      one.get("headers").properties().forEach(h -> headers.put(h.getKey(), h.getValue().asText()));
      String problem = verify(headers, utf8(one.get("value").asText()), one.get("key").asText(), verifier);
      boolean wanted = one.get("problem").asText().isEmpty();
      held += holds(one.get("name").asText() + ": " + problem, String.valueOf(problem.isEmpty()), String.valueOf(wanted));
    }
    System.out.println(held + " vectors hold");
  }

  static int holds(String name, String found, String wanted) {
    if (found.equals(wanted)) return 1;
    System.out.println("WRONG " + name + ": " + found + " instead of " + wanted);
    return 0;
  }
}
