import { useSyncExternalStore } from "react";
import { currentLanguage, subscribe } from ".";

/** The chosen language. A component that uses it renders again when the language changes. */
export const useLanguage = () => useSyncExternalStore(subscribe, currentLanguage);
