// Writes `tests/fixtures/numbers-4.3.1.txt`: Kafka's API keys and error codes, with the classes of
// the exceptions that stand for them. Run it as `Bytes.java`.

import org.apache.kafka.common.errors.ApplicationRecoverableException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RefreshRetriableException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.Errors;

public class Numbers {
    public static void main(String[] arguments) {
        for (ApiMessageType api : ApiMessageType.values()) {
            System.out.println("api " + api.apiKey() + " " + api.name);
        }
        for (Errors error : Errors.values()) {
            System.out.println("error " + error.code() + " " + error + " " + kind(error.exception()));
        }
    }

    static String kind(Exception exception) {
        if (exception instanceof InvalidMetadataException) {
            return "InvalidMetadata";
        } else if (exception instanceof RefreshRetriableException) {
            return "Refresh";
        } else if (exception instanceof RetriableException) {
            return "Retriable";
        } else if (exception instanceof ApplicationRecoverableException) {
            return "ApplicationRecoverable";
        } else if (exception instanceof InvalidConfigurationException) {
            return "InvalidConfiguration";
        }
        return "Other";
    }
}
