// The runner's own main takes no port of one's choice, nor any other setting of OpenSearch.
import org.codelibs.opensearch.runner.OpenSearchRunner;
public class SingleNode {
    public static void main(String[] arguments) throws Exception { // FOLDER NAME=VALUE...
        var runner = new OpenSearchRunner();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        runner.onBuild((number, settings) -> {
            for (int at = 1; at < arguments.length; at++) {
                var setting = arguments[at].split("=", 2);
                settings.put(setting[0], setting[1]);
            }
        });
        try {
            runner.build("-basePath", arguments[0], "-numOfNode", "1", "-printOnFailure");
        } catch (Exception error) { // what runs already would keep the process alive
            error.printStackTrace();
            System.exit(1);
        }
        Thread.currentThread().join(); // until a signal ends it
    }
}
