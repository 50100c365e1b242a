import com.github.sardine.DavResource;
import com.github.sardine.Sardine;
import com.github.sardine.SardineFactory;
import com.github.sardine.impl.SardineException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.Collectors;
import javax.xml.namespace.QName;

/**
 * One session of Sardine, from which Cyberduck's WebDAV grew, against a running bridge.
 *
 * <p>The environment holds BRIDGE_FOLDER (the URL of an empty folder, with a slash at its end),
 * BRIDGE_USERNAME and BRIDGE_PASSWORD; standard input holds encoded names, one a line. It exits
 * with 0 when everything held.
 */
public final class Session {
    private final Sardine sardine;
    private final String folder;

    private Session(Sardine sardine, String folder) {
        this.sardine = sardine;
        this.folder = folder;
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> environment = System.getenv();
        String folder = environment.get("BRIDGE_FOLDER");
        Sardine sardine = SardineFactory.begin(
            environment.get("BRIDGE_USERNAME"), environment.get("BRIDGE_PASSWORD"));
        URI uri = URI.create(folder);
        Session session = new Session(sardine, folder);
        List<String> names = Arrays.asList(
            new String(System.in.readAllBytes(), StandardCharsets.UTF_8).split("\n"));
        try {
            session.overwritesAfterAChallenge();
            sardine.enablePreemptiveAuthentication(uri.getHost(), uri.getPort(), uri.getPort());
            session.putsListsAndReads();
            session.keepsNames(names);
            session.movesCopiesAndDeletes();
            session.locks();
            session.keepsProperties();
            session.streams();
        } finally {
            sardine.shutdown();
        }
        System.out.println("done");
    }

    /** Without preemptive authentication the first request meets a 401 and is repeated. */
    private void overwritesAfterAChallenge() throws IOException {
        sardine.put(folder + "challenged", bytes("one"));
        sardine.put(folder + "challenged", bytes("two"));
        check(Arrays.equals(read("challenged"), bytes("two")), "the challenged file");
    }

    private void putsListsAndReads() throws IOException {
        byte[] data = new byte[300_000];
        new Random(1).nextBytes(data);
        sardine.createDirectory(folder + "one/");
        sardine.put(folder + "one/file", data, "image/png");
        check(sardine.exists(folder + "one/file"), "exists");
        check(!sardine.exists(folder + "one/absent"), "is absent");
        check(Arrays.equals(read("one/file"), data), "content");
        DavResource found = sardine.list(folder + "one/").stream()
            .filter(each -> !each.isDirectory()).findFirst().orElseThrow();
        check(found.getName().equals("file"), "name");
        check(found.getContentLength() == data.length, "length");
        check(found.getContentType().equals("image/png"), "type " + found.getContentType());
        check(found.getEtag() != null && found.getModified() != null, "etag and time");
        Map<String, String> range = new HashMap<>();
        range.put("Range", "bytes=65530-65541");
        try (InputStream part = sardine.get(folder + "one/file", range)) {
            check(Arrays.equals(part.readAllBytes(), Arrays.copyOfRange(data, 65530, 65542)),
                "range");
        }
        check(sardine.getQuota(folder) != null, "quota");
    }

    private void keepsNames(List<String> names) throws IOException {
        sardine.createDirectory(folder + "names/");
        sardine.createDirectory(folder + "moved/");
        for (String name : names) {
            sardine.put(folder + "names/" + name, bytes(name));
            sardine.copy(folder + "names/" + name, folder + "moved/" + name);
            sardine.move(folder + "names/" + name, folder + "moved/" + name);
            check(Arrays.equals(read("moved/" + name), bytes(name)), "content of " + name);
        }
        check(sardine.list(folder + "names/").size() == 1, "nothing is left behind");
        TreeSet<String> listed = sardine.list(folder + "moved/").stream()
            .filter(each -> !each.isDirectory())
            .map(each -> each.getHref().getRawPath().replaceAll(".*/", ""))
            .map(Session::decoded)
            .collect(Collectors.toCollection(TreeSet::new));
        TreeSet<String> expected = names.stream().map(Session::decoded)
            .collect(Collectors.toCollection(TreeSet::new));
        check(listed.equals(expected), "names " + listed + " instead of " + expected);
    }

    private void movesCopiesAndDeletes() throws IOException {
        sardine.createDirectory(folder + "tree/");
        sardine.put(folder + "tree/file", bytes("x"));
        sardine.copy(folder + "tree/", folder + "copy/");
        sardine.move(folder + "tree/", folder + "renamed/");
        check(!sardine.exists(folder + "tree/"), "moved away");
        check(Arrays.equals(read("copy/file"), bytes("x")), "copied");
        check(Arrays.equals(read("renamed/file"), bytes("x")), "moved");
        refused(412, () -> sardine.move(folder + "copy/", folder + "renamed/", false));
        sardine.delete(folder + "renamed/");
        refused(404, () -> sardine.delete(folder + "renamed/"));
        refused(405, () -> sardine.createDirectory(folder + "copy/"));
        refused(409, () -> sardine.createDirectory(folder + "no/such/parent/"));
    }

    private void locks() throws IOException {
        sardine.put(folder + "locked", bytes("old"));
        String token = sardine.lock(folder + "locked");
        refused(423, () -> sardine.put(folder + "locked", bytes("intruder")));
        sardine.refreshLock(folder + "locked", token, folder + "locked");
        Map<String, String> held = new HashMap<>();
        held.put("If", "<" + folder + "locked> (<" + token + ">)");
        sardine.put(folder + "locked", new ByteArrayInputStream(bytes("owner")), held);
        sardine.unlock(folder + "locked", token);
        sardine.put(folder + "locked", bytes("new"));
        check(Arrays.equals(read("locked"), bytes("new")), "content after the lock");
    }

    private void keepsProperties() throws IOException {
        QName colour = new QName("http://example.org/ns/", "colour", "e");
        sardine.put(folder + "painted", bytes("x"));
        Map<QName, String> set = new HashMap<>();
        set.put(colour, "blue & <green> \u00e9");
        sardine.patch(folder + "painted", set);
        sardine.move(folder + "painted", folder + "kept");
        DavResource kept = sardine.propfind(folder + "kept", 0, java.util.Set.of(colour)).get(0);
        check("blue & <green> \u00e9".equals(kept.getCustomPropsNS().get(colour)),
            "property " + kept.getCustomPropsNS());
        sardine.patch(folder + "kept", new HashMap<>(), List.of(colour));
        DavResource bare = sardine.propfind(folder + "kept", 0, java.util.Set.of(colour)).get(0);
        check(bare.getCustomPropsNS().get(colour) == null
            || bare.getCustomPropsNS().get(colour).isEmpty(), "removed property");
    }

    /** A body of unknown length that cannot be sent twice, announced by Expect. */
    private void streams() throws Exception {
        MessageDigest sent = MessageDigest.getInstance("SHA-256");
        MessageDigest read = MessageDigest.getInstance("SHA-256");
        InputStream noise = new InputStream() {
            private final Random random = new Random(2);
            private int left = 64 << 20;

            @Override
            public int read() {
                throw new UnsupportedOperationException();
            }

            @Override
            public int read(byte[] buffer, int offset, int length) {
                if (left == 0) {
                    return -1;
                }
                byte[] block = new byte[Math.min(length, left)];
                random.nextBytes(block);
                System.arraycopy(block, 0, buffer, offset, block.length);
                left -= block.length;
                return block.length;
            }
        };
        sardine.put(folder + "stream", new DigestInputStream(noise, sent), null, true);
        try (InputStream back = new DigestInputStream(sardine.get(folder + "stream"), read)) {
            byte[] buffer = new byte[1 << 16];
            while (back.read(buffer) >= 0) {
                continue;
            }
        }
        check(Arrays.equals(sent.digest(), read.digest()), "the stream");
    }

    private byte[] read(String name) throws IOException {
        try (InputStream content = sardine.get(folder + name)) {
            return content.readAllBytes();
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String decoded(String name) {
        return java.net.URLDecoder.decode(name.replace("+", "%2B"), StandardCharsets.UTF_8);
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static void refused(int status, Change change) throws IOException {
        try {
            change.make();
        } catch (SardineException error) {
            check(error.getStatusCode() == status, error + " instead of " + status);
            return;
        }
        throw new AssertionError("not refused with " + status);
    }

    private interface Change {
        void make() throws IOException;
    }
}
