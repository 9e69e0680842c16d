import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/** The digest of a table, form 2 (docs/data-digest.md): columns of Long, Double or String; null is missing. */
public final class DataDigest {

    static byte[] sha256(byte[]... pieces) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        for (byte[] piece : pieces) digest.update(piece);
        return digest.digest();
    }

    static byte[] u32(int number) {
        return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(number).array();
    }

    static byte[] u64(long number) {
        return ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(number).array();
    }

    static byte[] text(String value) {
        byte[] raw = value.getBytes(StandardCharsets.UTF_8);
        return join(u32(raw.length), raw);
    }

    static byte[] join(byte[]... pieces) {
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        for (byte[] piece : pieces) joined.writeBytes(piece);
        return joined.toByteArray();
    }

    public static byte[] column(String type, List<?> values) throws Exception {
        byte[] validity = new byte[(values.size() + 7) / 8];
        ByteArrayOutputStream first = new ByteArrayOutputStream();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        int missing = 0;
        for (int row = 0; row < values.size(); row++) {
            Object value = values.get(row);
            if (value == null) {
                missing++;
                continue;
            }
            validity[row / 8] |= (byte) (1 << (row % 8));
            switch (type) {
                case "int64" -> first.writeBytes(u64((Long) value));
                case "float64" -> {
                    double number = (Double) value;  // doubleToLongBits has one NaN
                    first.writeBytes(u64(Double.doubleToLongBits(number == 0.0 ? 0.0 : number)));
                }
                case "string" -> {
                    byte[] raw = ((String) value).getBytes(StandardCharsets.UTF_8);
                    first.writeBytes(u32(raw.length));
                    bytes.writeBytes(raw);
                }
                default -> throw new IllegalArgumentException(type);
            }
        }
        byte[] buffers = sha256(first.toByteArray());
        if (type.equals("string")) buffers = join(buffers, sha256(bytes.toByteArray()));
        byte[] present = sha256(missing == 0 ? new byte[0] : validity);
        return sha256(text(type), u64(values.size()), u64(missing), present, buffers, u32(0));
    }

    /** Returns the digest of one table; `types` and `columns` are in the order of the columns. */
    public static String digest(Map<String, String> types, Map<String, List<?>> columns) throws Exception {
        int rows = columns.values().iterator().next().size();
        byte[] body = join(text("table"), u64(rows), u32(columns.size()));
        for (Map.Entry<String, List<?>> one : columns.entrySet()) {
            byte[] name = join(new byte[] {'s'}, text(one.getKey()));
            body = join(body, name, column(types.get(one.getKey()), one.getValue()));
        }
        return "rdh2:" + HexFormat.of().formatHex(sha256(text("rdh2"), u32(1), sha256(body)));
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, List<?>> columns = new java.util.LinkedHashMap<>();
        columns.put("age", java.util.Arrays.asList(41L, null, -3L));
        columns.put("score", java.util.Arrays.asList(0.5, -0.0, Double.NaN));
        columns.put("name", java.util.Arrays.asList("Ada", "Zoë", null));
        System.out.println(digest(Map.of("age", "int64", "score", "float64", "name", "string"), columns));
    }
}
