import { runClientService } from "../../services/client-service/run.ts";
import { createPop3Service } from "./serve.ts";

runClientService("pop3d", createPop3Service, ({ attachDirectory, attachLocal }) => ({
  directory: attachDirectory,
  local: attachLocal,
}));
