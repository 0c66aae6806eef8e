import type { Messages } from "..";

import account from "./account";
import bookings from "./bookings";
import checkout from "./checkout";
import common from "./common";
import films from "./films";
import problems from "./problems";
import seats from "./seats";

const de: Messages = { ...account, ...bookings, ...checkout, ...common, ...films, ...problems, ...seats };

export default de;
