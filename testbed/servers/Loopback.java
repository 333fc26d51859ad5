// DynamoDB Local listens on all interfaces and has no option against it; its Jetty has.
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import software.amazon.dynamodb.services.local.main.ServerRunner;
public class Loopback {
    public static void main(String[] arguments) throws Exception {
        var local = ServerRunner.createServerFromCommandLineArgs(arguments);
        var server = local.getClass().getDeclaredField("server");
        server.setAccessible(true);
        for (var connector : ((Server) server.get(local)).getConnectors()) {
            ((ServerConnector) connector).setHost("127.0.0.1");
        }
        local.start();
        local.join();
    }
}
